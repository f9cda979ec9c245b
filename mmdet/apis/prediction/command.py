"""The command line of tools/predict.py, which the scripts of demo/ call too."""

import argparse
from pathlib import Path
from typing import Any

from mmcv import DictAction

from mmdet.apis.inference import init_detector
from mmdet.apis.launch import UserError, fraction
from mmdet.apis.prediction.predictor import Predictor
from mmdet.apis.prediction.run import KINDS, Outputs, run
from mmdet.apis.prediction.sources import open_source
from mmdet.apis.prediction.tiles import Tiling
from mmdet.utils.checkpoints.checkpoint import set_checkpoint_trust

LIVE_WAIT = 0.001  # s; a video or camera goes on by itself


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that detects with a config and a checkpoint."""
    parser.add_argument('--device', default='cuda:0', help='device; the CPU takes the place of a GPU that is missing')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    parser.add_argument(
        '--allow-partial', action='store_true', help='use a checkpoint that lacks weights or has other classes'
    )
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow a file that runs code while it is read')


def check_model_files(args: argparse.Namespace) -> None:
    """Refuse a config or checkpoint that is not there, before anything is loaded.

    Raises:
        UserError: there is no such file.
    """
    for name in (args.config, args.checkpoint):
        if '://' not in name and not Path(name).is_file():
            raise UserError(f'there is no file {name}')


def load_model(args: argparse.Namespace) -> Any:
    """The detector of ``args.config`` and ``args.checkpoint``, with what :func:`add_model_options` added."""
    set_checkpoint_trust(args.trust_checkpoint)
    return init_detector(args.config, args.checkpoint, args.device, args.cfg_options, args.allow_partial)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Detect objects in images, videos, and what a camera sees')
    parser.add_argument(
        'source', help='image, folder, list of images (.txt), video, address of a stream, camera (0, ...)'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out-dir', help='folder for the outputs; sub-folders and names of the images are kept')
    parser.add_argument('--out-file', help='the picture of a single image, or a video of all')
    parser.add_argument(
        '--save', nargs='+', choices=KINDS, default=(), help='what goes to --out-dir; default: json and pictures'
    )
    parser.add_argument('--show', action='store_true', help='open a window; q ends it')
    parser.add_argument('--wait-time', type=float, default=0, help='seconds a picture is shown; 0: until a key')
    parser.add_argument('--ann', help='COCO file whose ids of images and categories detections.json takes')
    parser.add_argument('--score-thr', type=fraction, default=0.3, help='leave out detections with lower scores')
    parser.add_argument('--batch-size', type=int, default=1, help='images or tiles that go through the model together')
    parser.add_argument('--tile', type=int, help='cut larger images into tiles of so many pixels')
    parser.add_argument('--overlap', type=float, default=0.2, help='fraction that neighbouring tiles have in common')
    parser.add_argument('--tile-iou-thr', type=fraction, default=0.5, help='from which boxes of tiles are one object')
    parser.add_argument(
        '--tta',
        type=float,
        nargs='*',
        metavar='SCALE',
        help='test-time augmentation: flips, and these factors of scale',
    )
    parser.add_argument('--max-frames', type=int, help='end a video or camera after so many frames')
    parser.add_argument('--frame-step', type=int, default=1, help='take each so-manieth frame only')
    parser.add_argument('--palette', default='coco', choices=['coco', 'voc', 'citys', 'random'], help='colours')
    add_model_options(parser)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is loaded.

    Raises:
        UserError: see there.
    """
    for name in ('batch_size', 'frame_step', 'max_frames'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(f'--{name.replace("_", "-")} must be at least 1, got {value}')
    if not args.wait_time >= 0:
        raise UserError(f'--wait-time must be 0 or more, got {args.wait_time}')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_args(args)
    check_model_files(args)
    skip = Path(args.out_dir) if args.out_dir else None
    source = open_source(args.source, skip, args.max_frames, args.frame_step)
    model = load_model(args)
    tiling = Tiling(args.tile, args.overlap, args.tile_iou_thr) if args.tile is not None else None
    augmentation = None if args.tta is None else args.tta or (1.0,)
    predictor = Predictor(model, args.score_thr, args.batch_size, tiling, augmentation)
    wait = args.wait_time if source.fps is None else args.wait_time or LIVE_WAIT
    outputs = Outputs(args.out_dir, args.save, args.out_file, args.palette, args.show, wait, args.ann)
    done = run(predictor, source, outputs)
    skipped = f'; {len(done.broken)} files could not be read' if done.broken else ''
    print(f'\n{done.detections} detections with a score of at least {args.score_thr} in {done.images} images{skipped}')
