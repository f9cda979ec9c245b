"""Show what a camera sees, with detections; the options of mmdetection 2.x. q or Escape ends it."""

import argparse
import sys

from mmdet.apis.launch import fraction, reported_errors
from mmdet.apis.prediction.command import main as predict


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Detect objects in what a camera sees')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--device', default='cuda:0', help='device; the CPU takes the place of a GPU that is missing')
    parser.add_argument('--camera-id', type=int, default=0, help='number of the camera')
    parser.add_argument('--score-thr', type=fraction, default=0.5, help='leave out detections with lower scores')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    options = ['--device', args.device, '--score-thr', str(args.score_thr), '--show']
    predict([str(args.camera_id), args.config, args.checkpoint, *options])


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
