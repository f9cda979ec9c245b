"""Split COCO's training images into labelled and unlabelled ones, for semi-supervised training.

    python tools/misc/split_coco.py --data-root data/coco --out-dir data/coco_semi_annos --labeled-percent 1 5 10

Reads ``annotations/instances_train2017.json``. For each share and fold ``instances_train2017.FOLD@PERCENT.json`` holds
the chosen images with their annotations, and ``instances_train2017.FOLD@PERCENT-unlabeled.json`` the other ones. The
number of the fold is the seed of the choice.
"""

import argparse
import sys
from pathlib import Path

from mmdet.apis.launch import UserError, reported_errors

import mmcv
import numpy as np

STEM = 'instances_train2017'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', type=str, default='./data/coco/', help='folder of COCO')
    parser.add_argument('--out-dir', type=str, default='./data/coco_semi_annos/', help='folder for the files')
    parser.add_argument(
        '--labeled-percent', type=float, nargs='+', default=[1, 2, 5, 10], help='per cent of the images with labels'
    )
    parser.add_argument('--fold', type=int, default=5, help='number of different choices for each share')
    return parser.parse_args(argv)


def split(content: dict, percent: float, seed: int) -> tuple[dict, dict]:
    """Two parts of an annotation file, which is not changed.

    Args:
        content: COCO's JSON.
        percent: share of the images in the first part, rounded down.
        seed: of the choice.
    """
    images = content['images']
    count = int(percent / 100 * len(images))
    chosen = set(np.random.RandomState(seed).choice(len(images), size=count, replace=False).tolist())
    labelled_ids = {images[i]['id'] for i in chosen}
    parts = []
    for wanted in (True, False):
        part = {
            'images': [image for image in images if (image['id'] in labelled_ids) == wanted],
            'annotations': [a for a in content['annotations'] if (a['image_id'] in labelled_ids) == wanted],
        }
        parts.append({**content, **part})
    return parts[0], parts[1]


def main(argv: list[str] | None = None) -> list[Path]:
    """Run the command; gives the files."""
    args = parse_args(argv)
    source = Path(args.data_root, 'annotations', f'{STEM}.json')
    if not source.is_file():
        raise UserError(f'there is no {source}')
    if args.fold < 1 or not all(0 < percent < 100 for percent in args.labeled_percent):
        raise UserError('--fold must be 1 or more and --labeled-percent between 0 and 100')
    content = mmcv.load(str(source))
    folder = Path(args.out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for fold in range(1, args.fold + 1):
        for percent in args.labeled_percent:
            for part, ending in zip(split(content, percent, fold), ('', '-unlabeled')):
                written.append(folder / f'{STEM}.{fold}@{percent:g}{ending}.json')
                mmcv.dump(part, str(written[-1]))
                print(f'{written[-1]}: {len(part["images"])} images, {len(part["annotations"])} annotations')
    return written


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
