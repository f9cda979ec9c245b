"""Which class is taken for which: a picture and a table.

    python tools/analysis_tools/confusion_matrix.py CONFIG results.pkl SAVE_DIR

Rows are the classes of objects, columns those of detections; the last row holds detections where there is nothing, the
last column objects that are missed. Each object and each detection counts once. ``SAVE_DIR/confusion_matrix.png``
shows per cent of each row (or column, see ``--normalise``), ``confusion_matrix.csv`` has the numbers.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from mmdet.apis.launch import UserError, config_from_args, fraction, reported_errors
from mmdet.apis.report.samples import samples
from mmdet.apis.results import build_test_dataset, load_results
from mmdet.core.evaluation.confusion_matrix import NORMALISATIONS, confusion_matrix, normalised
from mmdet.utils.registry import did_you_mean

import numpy as np
from matplotlib import colormaps
from mmcv import DictAction

MAX_NUMBERED = 100  # classes; the numbers in a larger matrix could not be read


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('prediction_path', help='results.pkl, as tools/test.py --out wrote it for data.test')
    parser.add_argument('save_dir', help='folder for the picture and the table')
    parser.add_argument('--show', action='store_true', help='open a window')
    parser.add_argument('--color-theme', default='plasma', help="one of matplotlib's colour maps")
    parser.add_argument('--score-thr', type=fraction, default=0.3, help='leave out detections that score less')
    parser.add_argument('--tp-iou-thr', type=fraction, default=0.5, help='overlap of a detection with its object')
    parser.add_argument(
        '--nms-iou-thr', type=fraction, default=None, help='suppress detections once more, at this overlap'
    )
    parser.add_argument('--normalise', choices=NORMALISATIONS, default='row', help='what the picture shows shares of')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    args = parser.parse_args(argv)
    if args.color_theme not in colormaps:
        parser.error(f'--color-theme: {args.color_theme!r} is not known{did_you_mean(args.color_theme, colormaps)}')
    return args


def write_table(matrix: np.ndarray, names: Sequence[str], path: Path) -> None:
    """Write the counts (K + 1, K + 1) with the names of rows and columns."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['object \\ detection', *names])
        writer.writerows([name, *row] for name, row in zip(names, matrix.tolist()))


def plot(shares: np.ndarray, names: Sequence[str], by: str, theme: str, path: Path, show: bool) -> None:
    """Draw a matrix (K + 1, K + 1) of shares, or of counts where ``by`` is ``'none'``."""
    if not show:
        import matplotlib

        matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    values = shares if by == 'none' else 100 * shares
    side = max(5.0, 0.5 * len(names) + 2)  # inches
    figure, axes = plt.subplots(figsize=(side * 1.15, side), dpi=110, layout='constrained')
    image = axes.imshow(values, cmap=theme, vmin=0, vmax=None if by == 'none' else 100)
    figure.colorbar(image, ax=axes, label='number' if by == 'none' else f'% of the {by}')
    axes.set_xticks(range(len(names)), names, rotation=60, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel='detection', ylabel='object', title='Confusion matrix')
    if len(names) <= MAX_NUMBERED:
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, _ = image.cmap(image.norm(value))
            colour = 'black' if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 else 'white'
            axes.text(column, row, f'{value:.0f}', ha='center', va='center', color=colour, fontsize=8)
    figure.savefig(path)
    if show:
        plt.show()
    plt.close(figure)


def main(argv: list[str] | None = None) -> np.ndarray:
    """Run the command; gives the counts."""
    args = parse_args(argv)
    dataset = build_test_dataset(config_from_args(args), pipeline=[])
    results = load_results(args.prediction_path, dataset)
    try:
        images = list(samples(dataset, results))
        matrix = confusion_matrix(
            [image.boxes for image in images],
            [image.annotation for image in images],
            len(dataset.CLASSES),
            args.score_thr,
            args.tp_iou_thr,
            args.nms_iou_thr,
        )
    except (TypeError, ValueError) as error:
        raise UserError(f'{args.prediction_path}: {error}') from error
    folder = Path(args.save_dir)
    folder.mkdir(parents=True, exist_ok=True)
    names = [*dataset.CLASSES, 'background']
    write_table(matrix, names, folder / 'confusion_matrix.csv')
    shares = normalised(matrix, args.normalise)
    plot(shares, names, args.normalise, args.color_theme, folder / 'confusion_matrix.png', args.show)
    right, objects, detections = np.trace(matrix), matrix[:-1].sum(), matrix[:, :-1].sum()
    print(f'{right} of {objects} objects found as what they are, by {detections} detections; see {folder}')
    return matrix


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
