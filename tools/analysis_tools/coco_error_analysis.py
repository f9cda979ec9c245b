"""Draw why detections are wrong: COCO's seven curves for each class.

    python tools/analysis_tools/coco_error_analysis.py results.bbox.json OUT_DIR --ann ANNOTATIONS.json

``results.bbox.json`` is written by ``tools/test.py CONFIG CHECKPOINT --format-only --eval-options
jsonfile_prefix=results``. ``OUT_DIR/bbox`` gets a picture for each class and size of object. See
``mmdet/datasets/metrics/coco_errors.py`` for what the curves are.
"""

import argparse
import sys
from pathlib import Path

from mmdet.apis.launch import UserError, reported_errors
from mmdet.datasets.api_wrappers import COCO
from mmdet.datasets.metrics.coco_errors import AREA_NAMES, CURVES, area_ranges, areas_under, error_curves, mean_curves
from mmdet.datasets.metrics.coco_metrics import load_results
from mmdet.utils.output_paths import OutputPaths

import matplotlib
import numpy as np
from terminaltables import AsciiTable

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402  the backend must be set first

# of the areas between the curves; light ones for what is forgiven last
COLOURS = ('white', '#8fb0d9', '#c2d6ee', '#4c9a6b', '#a6cfb2', '#9b6bb5', '#f0a860')
ALL_CLASSES = 'allclass'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('result', help="results as COCO's JSON")
    parser.add_argument('out_dir', help='folder for the pictures')
    parser.add_argument('--ann', default='data/coco/annotations/instances_val2017.json', help='annotation file')
    parser.add_argument('--types', type=str, nargs='+', default=['bbox'], help='bbox, segm')
    parser.add_argument('--extraplots', action='store_true', help='also bars of each curve, and sizes of the objects')
    parser.add_argument(
        '--areas',
        type=int,
        nargs='+',
        default=[1024, 9216, 10000000000],
        help='areas px² up to which objects are small, medium and large',
    )
    return parser.parse_args(argv)


def plot_curves(curves: np.ndarray, recalls: np.ndarray, title: str, path: Path) -> None:
    """Draw seven curves (7, 101), with the areas between them filled."""
    figure, axes = plt.subplots(figsize=(7, 5), layout='constrained')
    previous = np.zeros_like(recalls)
    for name, ys, colour in zip(CURVES, curves, COLOURS):
        axes.fill_between(recalls, previous, ys, color=colour, linewidth=0, label=f'[{ys.mean():.3f}] {name}')
        axes.plot(recalls, ys, color='black', linewidth=0.8)
        previous = ys
    handles, labels = axes.get_legend_handles_labels()
    handles[0].set_edgecolor('black')
    handles[0].set_linewidth(0.5)
    axes.legend(handles, labels, loc='center left', bbox_to_anchor=(1.0, 0.5))
    axes.set(xlabel='recall', ylabel='precision', title=title, xlim=(0, 1), ylim=(0, 1.005))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_bars(values: np.ndarray, groups: list[str], title: str, path: Path) -> None:
    """Draw a group of seven bars for each of n groups (7, n); those without objects (-1) are left out."""
    there = values[0] > -1
    values, groups = values[:, there], [group for group, use in zip(groups, there) if use]
    figure, axes = plt.subplots(figsize=(max(6.0, 1.3 * len(groups)), 4), layout='constrained')
    places = np.arange(len(groups))
    for i, (name, row, colour) in enumerate(zip(CURVES, values, COLOURS)):
        bars = axes.bar(
            places + (i - 3) * 0.12, row, width=0.12, color=colour, edgecolor='black', linewidth=0.5, label=name
        )
        axes.bar_label(bars, fmt='%.2f', fontsize=5, rotation=90, padding=2)
    axes.set_xticks(places, groups, rotation=30, ha='right')
    axes.set(ylabel='area under the curve', title=title, ylim=(0, 1.2))
    axes.legend(ncols=len(CURVES), fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_sizes(areas: np.ndarray, title: str, path: Path) -> None:
    """Draw how many objects have which side, the root of their area (n,) px²."""
    figure, axes = plt.subplots(figsize=(6, 4), layout='constrained')
    axes.hist(np.sqrt(areas), bins=40, color=COLOURS[1], edgecolor='black', linewidth=0.4)
    axes.set(xlabel='root of the area, px', ylabel='objects', title=title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def load(args: argparse.Namespace, metric: str) -> tuple[COCO, COCO]:
    """Annotations and results.

    Raises:
        UserError: a file is missing or does not fit the other.
    """
    wanted = dict(bbox='bbox', segm='segmentation')[metric]
    for path in (args.ann, args.result):
        if not Path(path).is_file():
            raise UserError(f'there is no {path}')
    coco_gt = COCO(args.ann)
    try:
        coco_dt = load_results(coco_gt, args.result, metric)
    except (AssertionError, IndexError, KeyError) as error:
        raise UserError(
            f'{args.result} holds no {metric} results for the images of {args.ann}: expected image_ids of it, and '
            f'{wanted!r} in each detection ({error!r})'
        ) from error
    unknown = {ann['category_id'] for ann in coco_dt.dataset['annotations']} - set(coco_gt.get_cat_ids())
    if unknown:
        raise UserError(f'{args.result} has detections of category_id {min(unknown)}, {args.ann} no such category')
    return coco_gt, coco_dt


def analyse(metric: str, args: argparse.Namespace) -> np.ndarray:
    """Draw everything for boxes or masks; gives the areas under the curves (7, K + 1, areas), all classes last."""
    coco_gt, coco_dt = load(args, metric)
    folder = Path(args.out_dir, metric)
    paths = OutputPaths(folder)
    found = error_curves(coco_gt, coco_dt, metric, args.areas)
    everything = np.concatenate([found.precision, mean_curves(found.precision)[:, :, None]], axis=2)
    names = [cat['name'] for cat in coco_gt.load_cats(found.cat_ids)] + [ALL_CLASSES]
    for k, name in enumerate(names):
        for a, area in enumerate(AREA_NAMES):
            if everything[0, 0, k, a] > -1:
                title = f'{name}, {area} objects'
                plot_curves(everything[:, :, k, a], found.recalls, title, paths(f'{file_name(name)}-{area}.png'))
    under = areas_under(everything)
    if args.extraplots:
        for k, name in enumerate(names):
            plot_bars(under[:, k], list(AREA_NAMES), name, paths(f'{file_name(name)}-bars.png'))
        anns = [ann for ann in coco_gt.dataset['annotations'] if not ann.get('iscrowd')]
        plot_sizes(np.array([ann['area'] for ann in anns]), 'all classes', paths('sizes.png'))
    print_table(under[..., 0], names, metric)
    return under


def file_name(name: str) -> str:
    """A class name that can be part of a file's."""
    return ''.join(c if c.isalnum() or c in '-_. ' else '_' for c in name)


def print_table(under: np.ndarray, names: list[str], metric: str) -> None:
    """Print the areas under the curves (7, n) of n classes."""
    rows = [[name, *(f'{value:.3f}' if value > -1 else '-' for value in under[:, k])] for k, name in enumerate(names)]
    print(f'{metric}, objects of every size')
    print(AsciiTable([['class', *CURVES], *rows]).table)


def main(argv: list[str] | None = None) -> dict[str, np.ndarray]:
    """Run the command; gives the areas under the curves for each type."""
    args = parse_args(argv)
    unknown = [name for name in args.types if name not in ('bbox', 'segm')]
    if unknown:
        raise UserError(f'--types: expected bbox or segm, got {unknown[0]}')
    try:
        area_ranges(args.areas)
    except ValueError as error:
        raise UserError(f'--{error}') from error
    return {metric: analyse(metric, args) for metric in args.types}


if __name__ == '__main__':
    with reported_errors(ValueError):
        main(sys.argv[1:])
