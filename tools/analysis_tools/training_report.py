"""Write the report of a finished training: an older name of ``report.py``, which has more options.

    python tools/analysis_tools/training_report.py CONFIG WORK_DIR --results WORK_DIR/results.pkl

``results.pkl`` is what ``tools/test.py CONFIG CHECKPOINT --out results.pkl`` wrote for ``data.test`` of the config. The
report is ``WORK_DIR/report.html``.
"""

import argparse
import sys
from pathlib import Path

from mmdet.apis.launch import config_from_args, fraction, reported_errors
from mmdet.apis.report import Settings, collect, write_page
from mmdet.apis.report.training import NAME


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the training')
    parser.add_argument('work_dir', type=Path, help='folder with its logs; the report is written there')
    parser.add_argument('--results', type=Path, required=True, help='results.pkl of tools/test.py --out')
    parser.add_argument('--metric', choices=['bbox', 'segm'], help='metric of the figures; default: that of the config')
    parser.add_argument('--pictures', type=int, default=10, help='pictures of each kind of example at most')
    parser.add_argument('--score-thr', type=fraction, default=0.5, help='look at detections with at least this score')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    args.cfg_options = {'evaluation.metric': args.metric} if args.metric else None
    settings = Settings(args.score_thr, args.pictures)
    run = collect(config_from_args(args), args.work_dir, [args.results], 'test', settings)
    path = args.work_dir / NAME
    write_page(run, path, None, settings)
    print(f'report: {path}')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
