"""Write a detector to an ONNX file, or to a program of torch.export.

    python tools/deployment/export.py CONFIG CHECKPOINT --out model.onnx

The file takes normalised images and their sizes and gives boxes, labels and, as the detector has them, masks and
keypoints. docs/deployment.md says which detectors can be exported and shows a consumer without mmdet.
"""

import argparse
import sys

from mmdet.apis import init_detector
from mmdet.apis.export import ExportOptions, export_detector
from mmdet.apis.export.preprocessing import COLOURS
from mmdet.apis.launch import reported_errors

from mmcv import DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', default='model.onnx', help='the file: .onnx, or .pt2 for a program of torch.export')
    parser.add_argument(
        '--batch-size', type=int, default=0, help='images at a time; 0 (default): any number, one after the other'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(256, 320),
        metavar=('HEIGHT', 'WIDTH'),
        help='of the traced images',
    )
    parser.add_argument('--fixed-size', action='store_true', help='take images of that size only')
    parser.add_argument(
        '--no-sizes', action='store_true', help='take images alone: padding counts as a part of the image'
    )
    parser.add_argument('--raw', action='store_true', help='leave out the last suppression: give the best candidates')
    parser.add_argument(
        '--preprocessing',
        choices=COLOURS,
        help='take images (N, H, W, 3) uint8 of any size as they were read, channels in this order, and give boxes in '
        'their pixels: resizing, normalisation and padding are in the file',
    )
    parser.add_argument(
        '--canvas',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='with --preprocessing: input of the network, in which each image is fitted; default: by the test pipeline',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    parser.add_argument(
        '--allow-partial', action='store_true', help='take a checkpoint that lacks weights or has other classes'
    )
    args = parser.parse_args(argv)
    if args.batch_size < 0 or min(args.size) < 1:
        parser.error('--batch-size must be 0 or more, --size 1 or more')
    if args.canvas and (not args.preprocessing or min(args.canvas) < 1):
        parser.error('--canvas must be 1 or more, and goes with --preprocessing')
    return args


def main(argv: list[str] | None = None) -> None:
    """Export."""
    args = parse_args(argv)
    flags = (not args.fixed_size, not args.no_sizes, args.raw)
    canvas = args.canvas and tuple(args.canvas)
    options = ExportOptions(args.batch_size, tuple(args.size), *flags, args.preprocessing, canvas)
    with reported_errors():
        model = init_detector(args.config, args.checkpoint, 'cpu', args.cfg_options, args.allow_partial)
        metadata = export_detector(model, args.out, options)
    sides = metadata['side_divisor']
    print(
        f'{args.out}: {metadata["detector"]}, gives {", ".join(metadata["outputs"])}; takes '
        f'{args.batch_size or "any number of"} image(s), '
        + (f'sides in multiples of {sides} px' if sides else f'{args.size[0]} x {args.size[1]} px')
    )


if __name__ == '__main__':
    sys.exit(main())
