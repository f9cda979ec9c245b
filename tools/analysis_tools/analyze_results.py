"""Draw the images that a detector does best and worst on, by the mean average precision of each image.

    python tools/analysis_tools/analyze_results.py CONFIG results.pkl SHOW_DIR --topk 20

``results.pkl`` is what ``tools/test.py --out`` wrote for ``data.test``; it holds boxes, or boxes and masks (which are
drawn; the order is by the boxes). The pictures are in ``SHOW_DIR/good`` and ``SHOW_DIR/bad``, their mAP in their
names. Images without objects have no mAP and are left out.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from mmdet.apis.launch import UserError, config_from_args, fraction, reported_errors
from mmdet.apis.loaders import train_pipeline
from mmdet.apis.report.samples import Sample, locate, samples
from mmdet.apis.results import build_test_dataset, load_results
from mmdet.core.evaluation.image_map import image_map, rank_images
from mmdet.core.visualization import imshow_gt_det_bboxes
from mmdet.datasets import get_loading_pipeline
from mmdet.datasets.mixing.sources import image_files
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.progress import progress_bar

import numpy as np
from mmcv import Config, DictAction
from torch.utils.data import Dataset

MIN_PICTURE_SIDE = 420  # px; smaller images are enlarged so that labels can be read


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('prediction_path', help='results.pkl')
    parser.add_argument('show_dir', help='folder for the pictures')
    parser.add_argument('--show', action='store_true', help='open a window for each picture as well')
    parser.add_argument('--wait-time', type=float, default=0, help='seconds that it stays; 0: until it is closed')
    parser.add_argument('--topk', default=20, type=int, help='so many best and so many worst images')
    parser.add_argument('--show-score-thr', type=fraction, default=0, help='draw detections that score more')
    parser.add_argument('--overlay-gt-pred', action='store_true', help='one picture instead of two side by side')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    return parser.parse_args(argv)


def dataset_with_annotations(cfg: Config) -> Dataset:
    """``data.test``, whose pipeline loads images and annotations (with masks where training does) and no more."""
    return build_test_dataset(cfg, pipeline=get_loading_pipeline(train_pipeline(cfg.data.train)))


def rate_images(images: Iterable[Sample], count: int) -> list[float | None]:
    """Mean average precision of each of ``count`` images; None without objects."""
    bar = progress_bar(count)
    maps = []
    for image in images:
        maps.append(image_map(image.boxes, image.annotation))
        bar.update()
    return maps


def draw(
    dataset: Dataset, results: list, ranked: list[tuple[int, float]], folder: Path, args: argparse.Namespace
) -> None:
    """Draw some images with ground truth and detections."""
    paths = OutputPaths(folder, inputs=image_files(dataset))
    for index, value in ranked:
        leaf, own_index = locate(dataset, index)
        loaded = leaf.prepare_train_img(own_index)
        image, name = loaded['img'], loaded['img_info']['filename']
        imshow_gt_det_bboxes(
            image,
            {key: loaded[key] for key in ('gt_bboxes', 'gt_labels', 'gt_masks') if key in loaded},
            results[index],
            class_names=dataset.CLASSES,
            score_thr=args.show_score_thr,
            show=args.show,
            wait_time=args.wait_time,
            out_file=str(paths(name, loaded.get('filename'), f'_{value:.3f}')),
            overlay_gt_pred=args.overlay_gt_pred,
            scale=max(1, -(-MIN_PICTURE_SIDE // min(image.shape[:2]))),
        )


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    if args.topk < 1:
        raise UserError(f'--topk: expected 1 or more, got {args.topk}')
    dataset = dataset_with_annotations(config_from_args(args))
    results = load_results(args.prediction_path, dataset)
    if results and not isinstance(results[0], (list, tuple)):
        kind = 'proposals' if isinstance(results[0], np.ndarray) else 'panoptic ones'
        raise UserError(f'{args.prediction_path}: results with boxes by class are needed, these are {kind}')
    maps = rate_images(samples(dataset, results), len(results))
    ranking = rank_images(maps, args.topk)
    if not ranking.best:
        raise UserError('no image of data.test has an object')
    for name, ranked in (('good', ranking.best), ('bad', ranking.worst)):
        draw(dataset, results, ranked, Path(args.show_dir, name), args)
    print(
        f'{len(ranking.best)} best and {len(ranking.worst)} worst of {len(maps)} images drawn to {args.show_dir}; '
        f'{maps.count(None)} without objects left out'
    )


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
