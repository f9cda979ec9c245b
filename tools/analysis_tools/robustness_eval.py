"""Print the figures of a robustness test: P, mPC and rPC.

    python tools/analysis_tools/robustness_eval.py robustness_results.pkl --prints P mPC rPC

The file is what ``tools/analysis_tools/test_robustness.py --out robustness.pkl`` wrote beside the detections.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from mmdet.apis.launch import UserError, reported_errors
from mmdet.core.evaluation.robustness import COCO_FIGURES, PRINTS, Robustness, summarise_tasks, summary_text
from mmdet.utils.plain_data import load_plain

METRICS = (None, *COCO_FIGURES)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('filename', help='figures that test_robustness.py wrote')
    parser.add_argument(
        '--dataset', type=str, choices=['coco', 'voc', 'cityscapes'], default='coco', help='kind of data'
    )
    parser.add_argument('--task', type=str, nargs='+', choices=['bbox', 'segm'], default=['bbox'], help='what to print')
    parser.add_argument(
        '--metric', nargs='+', choices=METRICS, default=None, help='figures; default: all (COCO), AP50 (VOC)'
    )
    parser.add_argument('--prints', type=str, nargs='+', choices=[*PRINTS], default='mPC', help='what to print')
    parser.add_argument(
        '--aggregate', type=str, choices=['all', 'benchmark'], default='benchmark', help='corruptions to use'
    )
    return parser.parse_args(argv)


def read(filename: str) -> dict[str, dict[int, Any]]:
    """Corruption -> severity -> figures.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    if not Path(filename).is_file():
        raise UserError(f'there is no {filename}; write it with tools/analysis_tools/test_robustness.py --out')
    output = load_plain(filename)
    if not isinstance(output, dict) or not all(isinstance(entry, dict) for entry in output.values()):
        raise UserError(f'{filename}: expected {{corruption: {{severity: figures}}}}, got {type(output).__name__}')
    return output


def main(argv: list[str] | None = None) -> dict[str, tuple[list[str], Robustness]]:
    """Run the command; gives what is printed."""
    args = parse_args(argv)
    output = read(args.filename)
    try:
        chosen = summarise_tasks(output, args.dataset, args.task, args.metric, args.aggregate)
    except (KeyError, ValueError) as error:
        raise UserError(f'{args.filename}: {error.args[0]}') from error
    for task, (names, summary) in chosen.items():
        print(summary_text(task, names, summary, args.prints))
    return chosen


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
