"""Detect objects in an image or in all images of a folder, with the options of mmdetection 2.x.

It calls ``tools/predict.py``, which takes videos, lists and cameras as well and has more outputs.
"""

import argparse
import asyncio
import sys

from mmdet.apis.launch import fraction, reported_errors
from mmdet.apis.prediction import can_show
from mmdet.apis.prediction.command import main as predict


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Detect objects in images')
    parser.add_argument('img', help='an image, or a folder of them (its sub-folders too)')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out-dir', help='write pictures and detections.json there')
    parser.add_argument('--out-file', help='write the picture of a single image to this file')
    parser.add_argument('--device', default='cuda:0', help='device; the CPU takes the place of a GPU that is missing')
    parser.add_argument('--palette', default='coco', choices=['coco', 'voc', 'citys', 'random'], help='colours')
    parser.add_argument('--score-thr', type=fraction, default=0.3, help='leave out detections with lower scores')
    parser.add_argument('--batch-size', type=int, default=1, help='images that go through the model together')
    parser.add_argument('--async-test', action='store_true', help='detect in a thread of its own')
    parser.add_argument(
        '--allow-partial', action='store_true', help='use a checkpoint that lacks weights or has other classes'
    )
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow a file that runs code while it is read')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command; without an output the picture is shown, where there is a display."""
    args = parse_args(argv)
    options = ['--device', args.device, '--palette', args.palette, '--score-thr', str(args.score_thr)]
    options += ['--batch-size', str(args.batch_size)]
    options += ['--out-dir', args.out_dir] if args.out_dir else []
    options += ['--out-file', args.out_file] if args.out_file else []
    options += ['--allow-partial'] if args.allow_partial else []
    options += ['--trust-checkpoint'] if args.trust_checkpoint else []
    options += ['--show'] if not (args.out_dir or args.out_file) and can_show() else []
    command = [args.img, args.config, args.checkpoint, *options]
    if args.async_test:
        asyncio.run(asyncio.to_thread(predict, command))
    else:
        predict(command)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
