"""Write a report of a run as one HTML page, which opens from the disk and needs no network.

    python tools/analysis_tools/report.py CONFIG WORK_DIR --results results.npz

``results.npz`` is what ``tools/test.py CONFIG CHECKPOINT --out results.npz`` wrote for ``data.test``; COCO's lists
(``.json``) will do as well, one for each data set. Without ``--results`` those in the work folder are taken:
``results.npz`` or ``.pkl``, else ``results_val.npz``, which a training with ``report=dict()`` leaves. Without any the
page has the curves of the training and what there is to say of the data.
"""

import argparse
import sys
from pathlib import Path

from mmdet.apis.launch import UserError, config_from_args, fraction, reported_errors
from mmdet.apis.report import Run, Settings, collect, write_page, write_thresholds
from mmdet.apis.report.class_scores import check_thresholds_name
from mmdet.apis.report.training import NAME
from mmdet.utils.configs.read_config import read_config

from mmcv import DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the run')
    parser.add_argument('work_dir', type=Path, help='its folder, with logs and checkpoints')
    parser.add_argument('--results', type=Path, nargs='+', default=[], help='results of the data, see above')
    parser.add_argument('--split', choices=['test', 'val'], help='the data that the results are of; default: test')
    parser.add_argument('--out', type=Path, help=f'the page; default: WORK_DIR/{NAME}')
    parser.add_argument('--pictures-dir', type=Path, help='write pictures as files there, not into the page')
    parser.add_argument('--compare', type=Path, metavar='WORK_DIR', help='folder of another run, shown beside this one')
    parser.add_argument('--compare-config', help='its config; default: the one that its training left in the folder')
    parser.add_argument('--compare-results', type=Path, nargs='+', default=[], help='its results')
    parser.add_argument('--score-thr', type=fraction, help='look at detections from this score on; default: best F1')
    parser.add_argument('--examples', type=int, default=default.examples, help='pictures of each group at most')
    parser.add_argument('--picture-side', type=int, default=default.picture_side, help='px of their longer side')
    parser.add_argument('--export-thresholds', type=Path, metavar='FILE', help='best thresholds, as .json or .csv')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    args = parser.parse_args(argv)
    if args.examples < 1 or args.picture_side < 16:
        parser.error('--examples must be 1 or more, --picture-side 16 or more')
    return args


def other_run(args: argparse.Namespace, settings: Settings) -> Run:
    """The run of ``--compare``."""
    if not args.compare.is_dir():
        raise UserError(f'--compare: there is no folder {args.compare}')
    config = args.compare_config
    if config is None:
        found = sorted(args.compare.glob('*.py'), key=lambda path: path.stat().st_mtime)
        if not found:
            raise UserError(f'--compare: {args.compare} has no config of a training; give --compare-config')
        config = str(found[-1])
    return collect(read_config(config), args.compare, args.compare_results, args.split, settings)


def main(argv: list[str] | None = None) -> Path:
    """Run the command; gives the path of the page."""
    args = parse_args(argv)
    if not args.work_dir.is_dir():
        raise UserError(f'there is no folder {args.work_dir}')
    if args.export_thresholds:
        check_thresholds_name(args.export_thresholds)  # before all is looked at
    settings = Settings(args.score_thr, args.examples, args.picture_side)
    path = args.out or args.work_dir / NAME
    run = collect(config_from_args(args), args.work_dir, args.results, args.split, settings)
    other = other_run(args, settings) if args.compare else None
    if args.export_thresholds and run.detections is None:
        raise UserError('--export-thresholds needs --results')
    notes = write_page(run, path, other, settings, args.pictures_dir)
    if args.export_thresholds:
        write_thresholds(run.detections.scores, args.export_thresholds)
        print(f'thresholds: {args.export_thresholds}')
    for note in notes:
        print(note)
    print(f'report: {path}')
    return path


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
