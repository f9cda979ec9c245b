"""Print the figures of a robustness test: P, mPC and rPC.

    python tools/analysis_tools/robustness_eval.py robustness_results.pkl --prints P mPC rPC

The file is what ``tools/analysis_tools/test_robustness.py --out robustness.pkl`` wrote beside the detections.
"""

import mmdet  # noqa: I001, F401 - first: it hides an announcement of mmcv

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mmcv

from mmdet.apis.launch import UserError, reported_errors
from mmdet.core.evaluation.robustness import COCO_FIGURES, SELECTIONS, Robustness, figures_table, summarise

METRICS = (None, *COCO_FIGURES)
PRINTS = ('P', 'mPC', 'rPC')
TITLES = {
    'P': 'performance on clean images (P)',
    'mPC': 'mean performance under corruption (mPC)',
    'rPC': 'relative performance under corruption (rPC), %',
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('filename', help='figures that test_robustness.py wrote')
    parser.add_argument('--dataset', type=str, choices=['coco', 'voc', 'cityscapes'], default='coco', help='kind of data')
    parser.add_argument('--task', type=str, nargs='+', choices=['bbox', 'segm'], default=['bbox'], help='what to print')
    parser.add_argument('--metric', nargs='+', choices=METRICS, default=None, help='figures; default: all (COCO), AP50 (VOC)')
    parser.add_argument('--prints', type=str, nargs='+', choices=PRINTS, default='mPC', help='what to print')
    parser.add_argument('--aggregate', type=str, choices=['all', 'benchmark'], default='benchmark', help='corruptions to use')
    return parser.parse_args(argv)


def read(filename: str) -> dict[str, dict[int, Any]]:
    """Corruption -> severity -> figures.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    if not Path(filename).is_file():
        raise UserError(f'there is no {filename}; write it with tools/analysis_tools/test_robustness.py --out')
    output = mmcv.load(filename)
    if not isinstance(output, dict) or not all(isinstance(entry, dict) for entry in output.values()):
        raise UserError(f'{filename}: expected {{corruption: {{severity: figures}}}}, got {type(output).__name__}')
    return output


def figure_of(measured: dict[str, Any], name: str, keys: dict[str, str], task: str) -> float:
    """A figure such as AP, from a flat dict, or from one for each task as mmdetection 2.x writes it.

    Raises:
        KeyError: it is not there.
    """
    nested = measured.get(task)
    return nested[name] if isinstance(nested, dict) else measured[keys[name]]


def summaries(
    output: dict[str, dict[int, Any]], dataset: str, tasks: Sequence[str], metrics: Sequence[str] | None, aggregate: str
) -> dict[str, tuple[list[str], Robustness]]:
    """Names of figures and their P, mPC and rPC for each task.

    Raises:
        UserError: something was not measured.
    """
    chosen = {}
    for task in ['bbox'] if dataset == 'voc' else tasks:
        names = list(metrics or (['AP50'] if dataset == 'voc' else COCO_FIGURES))
        # VOC has one figure, the mean AP over its classes
        keys = {name: 'mAP' if dataset == 'voc' else f'{task}_{COCO_FIGURES[name]}' for name in names}
        try:
            table = figures_table(output, SELECTIONS[aggregate], names, partial(figure_of, keys=keys, task=task))
            chosen[task] = names, summarise(table)
        except KeyError as error:
            raise UserError(f'{task}: {error} was not measured') from error
        except ValueError as error:
            raise UserError(f'{task}: {error}') from error
    return chosen


def print_summary(task: str, names: Sequence[str], summary: Robustness, prints: str | Sequence[str]) -> None:
    """Print some of the three for each figure."""
    values = dict(P=summary.clean, mPC=summary.corrupted, rPC=100 * summary.relative)
    for kind in [prints] if isinstance(prints, str) else prints:
        print(f'{task}: {TITLES[kind]}')
        for name, value in zip(names, values[kind].tolist()):
            print(f'  {name:6} {value:.3f}')


def main(argv: list[str] | None = None) -> dict[str, tuple[list[str], Robustness]]:
    """Run the command; gives what is printed."""
    args = parse_args(argv)
    chosen = summaries(read(args.filename), args.dataset, args.task, args.metric, args.aggregate)
    for task, (names, summary) in chosen.items():
        print_summary(task, names, summary, args.prints)
    return chosen


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
