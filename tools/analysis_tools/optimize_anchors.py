"""Find anchor sizes that fit the boxes of ``data.train``, for a head with ``YOLOAnchorGenerator``.

    python tools/analysis_tools/optimize_anchors.py CONFIG --algorithm k-means --input-shape 608 608 --output-dir OUT

Boxes are scaled as if their images were fitted into the input shape with their ratio kept. The result is printed as
``base_sizes`` of the config and, with ``--output-dir``, written to ``anchor_optimize_result.json``.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.core.anchor.optimize import evolved_anchors, fitted_sizes, kmeans_anchors, mean_best_iou
from mmdet.datasets import build_dataset
from mmdet.utils.compat_config import compat_loader_args
from mmdet.utils.running.progress import tracked

import numpy as np
import torch
from mmcv import Config
from torch import Tensor
from torch.utils.data import Dataset

ALGORITHMS = ('k-means', 'differential_evolution')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--device', default='cuda:0', help='where to compute; without GPU: the CPU')
    parser.add_argument(
        '--input-shape', type=int, nargs='+', default=[608, 608], help="width and height of the network's input"
    )
    parser.add_argument('--algorithm', default='differential_evolution', help=' or '.join(ALGORITHMS))
    parser.add_argument('--iters', default=1000, type=int, help='at most so many rounds')
    parser.add_argument('--output-dir', default=None, type=str, help='folder for the result')
    parser.set_defaults(cfg_options=None)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot work.

    Raises:
        UserError: see there.
    """
    if args.algorithm not in ALGORITHMS:
        raise UserError(f'--algorithm: expected {" or ".join(ALGORITHMS)}, got {args.algorithm!r}')
    if len(args.input_shape) != 2 or min(args.input_shape) < 1:
        raise UserError(f'--input-shape: expected width and height, got {args.input_shape}')


def anchor_counts(cfg: Config) -> list[int]:
    """How many anchors each level has.

    Raises:
        UserError: the config's head has no anchors of this kind.
    """
    generator = cfg.model.get('bbox_head', {}).get('anchor_generator', {})
    if generator.get('type') != 'YOLOAnchorGenerator':
        raise UserError(
            'model.bbox_head.anchor_generator must be a YOLOAnchorGenerator, whose base_sizes this tool finds; got '
            f'{generator.get("type")}'
        )
    return [len(level) for level in generator.base_sizes]


def box_sizes(dataset: Dataset, input_shape: tuple[int, int]) -> np.ndarray:
    """Width and height (n, 2) px of all objects of a data set, in the network's input."""
    sizes, image_sizes = [np.zeros((0, 2))], [np.zeros((0, 2))]
    for i, info in enumerate(tracked(dataset.data_infos, 'reading boxes')):
        boxes = np.asarray(dataset.get_ann_info(i)['bboxes']).reshape(-1, 4)
        sizes.append(boxes[:, 2:] - boxes[:, :2])
        image_sizes.append(np.tile([info['width'], info['height']], (len(boxes), 1)))
    sizes, image_sizes = np.concatenate(sizes), np.concatenate(image_sizes)
    return fitted_sizes(sizes, image_sizes, input_shape) if len(sizes) else sizes


def plain_dataset(cfg: Config) -> Dataset:
    """``data.train`` with nothing to do for its pipeline.

    Raises:
        UserError: it is a wrapper around data sets.
    """
    train = compat_loader_args(cfg).data.train
    while isinstance(train, dict) and 'dataset' in train:
        train = train['dataset']
    if not isinstance(train, dict) or 'datasets' in train or isinstance(train.get('ann_file'), list | tuple):
        raise UserError('data.train must be one data set; choose one with a config of your own')
    train['pipeline'] = []
    return build_dataset(train)


def by_level(anchors: Tensor, counts: list[int]) -> list[list[list[int]]]:
    """Anchors (k, 2), smallest first, as ``base_sizes``: the level of the largest stride first, as YOLO has them."""
    whole = anchors.round().int().tolist()
    ends = np.cumsum(counts[::-1])
    return [whole[end - count : end] for end, count in zip(ends, counts[::-1])][::-1]


def save(base_sizes: list[Any], folder: str) -> Path:
    """Write the result; gives the file."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder, 'anchor_optimize_result.json')
    path.write_text(json.dumps(base_sizes), encoding='utf-8')
    return path


def main(argv: list[str] | None = None) -> list[Any]:
    """Run the command; gives the base sizes."""
    args = parse_args(argv)
    check_args(args)
    cfg = config_from_args(args)
    counts = anchor_counts(cfg)
    device = args.device if torch.cuda.is_available() or not args.device.startswith('cuda') else 'cpu'
    shape = tuple(args.input_shape)
    boxes = box_sizes(plain_dataset(cfg), shape)
    try:
        sizes = torch.as_tensor(boxes, dtype=torch.float32, device=device)
    except RuntimeError as error:
        raise UserError(f'--device {device}: {error}') from error
    try:
        if args.algorithm == 'k-means':
            anchors = kmeans_anchors(sizes, sum(counts), args.iters)
        else:
            anchors = evolved_anchors(sizes, sum(counts), shape, args.iters)
    except ValueError as error:
        raise UserError(str(error)) from error
    base_sizes = by_level(anchors, counts)
    print(f'{len(sizes)} boxes, mean overlap with their best anchor: {mean_best_iou(sizes, anchors):.4f}')
    print(f'base_sizes={base_sizes}')
    if args.output_dir:
        print(f'written to {save(base_sizes, args.output_dir)}')
    return base_sizes


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
