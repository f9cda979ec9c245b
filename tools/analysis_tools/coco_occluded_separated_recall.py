"""Recall of masks over COCO's objects that others hide in part (occluded) or cut into pieces (separated).

    python tools/analysis_tools/coco_occluded_separated_recall.py results.pkl --out recall.json

``results.pkl`` is what ``tools/test.py --out`` wrote, boxes and masks, for the images of ``--ann``. The two lists of
objects come from the web (https://www.robots.ox.ac.uk/~vgg/research/tpod) unless files are given.
"""

import argparse
import sys
from pathlib import Path
from urllib.error import URLError

from mmdet.apis.launch import UserError, fraction, reported_errors
from mmdet.apis.results import load_results
from mmdet.datasets import build_dataset

import mmcv


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('result', help='results.pkl')
    parser.add_argument('--out', help='write the figures there, .json, .yml or .pkl')
    parser.add_argument('--score-thr', type=fraction, default=0.3, help='leave out detections that score less')
    parser.add_argument(
        '--iou-thr', type=fraction, default=0.75, help='overlap of masks from which on an object is found'
    )
    parser.add_argument('--ann', default='data/coco/annotations/instances_val2017.json', help='annotation file')
    parser.add_argument('--occluded-ann', help='file of the occluded objects')
    parser.add_argument('--separated-ann', help='file of the separated objects')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run the command; gives the figures."""
    args = parse_args(argv)
    if not Path(args.ann).is_file():
        raise UserError(f'there is no annotation file {args.ann}')
    lists = {key: getattr(args, key) for key in ('occluded_ann', 'separated_ann') if getattr(args, key)}
    dataset = build_dataset(
        dict(type='OccludedSeparatedCocoDataset', ann_file=args.ann, pipeline=[], test_mode=True, **lists)
    )
    results = load_results(args.result, dataset)
    try:
        figures = dataset.evaluate(results, score_thr=args.score_thr, iou_thr=args.iou_thr)
    except (TypeError, ValueError) as error:
        raise UserError(f'{args.result}: {error}') from error
    except URLError as error:
        raise UserError(
            f'the lists cannot be fetched ({error.reason}); give --occluded-ann, --separated-ann'
        ) from error
    for name, value in figures.items():
        print(f'{name}: {value:.2f}')
    if args.out:
        mmcv.dump(dict(figures), args.out)
        print(f'written to {args.out}')
    return figures


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
