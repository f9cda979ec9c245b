"""Detect objects in a video, with the options of mmdetection 2.x; ``tools/predict.py`` has more."""

import argparse
import sys

from mmdet.apis.launch import UserError, fraction, reported_errors
from mmdet.apis.prediction.command import main as predict


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Detect objects in a video')
    parser.add_argument('video', help='video file')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--device', default='cuda:0', help='device; the CPU takes the place of a GPU that is missing')
    parser.add_argument('--score-thr', type=fraction, default=0.3, help='leave out detections with lower scores')
    parser.add_argument('--out', help='video with the detections')
    parser.add_argument('--show', action='store_true', help='open a window')
    parser.add_argument('--wait-time', type=float, default=1, help='milliseconds that a frame is shown')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command.

    Raises:
        UserError: neither --out nor --show is given.
    """
    args = parse_args(argv)
    if not (args.out or args.show):
        raise UserError('give --out VIDEO or --show')
    options = ['--device', args.device, '--score-thr', str(args.score_thr), '--wait-time', str(args.wait_time / 1000)]
    options += ['--out-file', args.out] if args.out else []
    options += ['--show'] if args.show else []
    predict([args.video, args.config, args.checkpoint, *options])


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
