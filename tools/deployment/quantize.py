"""Write an exported detector with weights and activations of 8 bits.

    python tools/deployment/export.py CONFIG CHECKPOINT --out model.onnx --batch-size 1
    python tools/deployment/quantize.py CONFIG model.onnx --out model_int8.onnx
    python tools/deployment/test.py CONFIG model_int8.onnx --eval bbox

The ranges of activations are taken from images of the config's training sets. The last command says what the file has
lost, tools/deployment/benchmark.py what it has gained.
"""

import argparse
import sys

from mmdet.apis.export import ExportError, is_onnx, quantize_onnx
from mmdet.apis.launch import reported_errors
from mmdet.utils.configs.read_config import read_config

from mmcv import DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('model', help='.onnx file of tools/deployment/export.py with --batch-size 1')
    parser.add_argument('--out', default='model_int8.onnx', help='the file to write')
    parser.add_argument('--images', type=int, default=100, help='training images that are looked at')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    args = parser.parse_args(argv)
    if args.images < 1:
        parser.error('--images must be 1 or more')
    return args


def main(argv: list[str] | None = None) -> None:
    """Quantise."""
    args = parse_args(argv)
    with reported_errors():
        if not is_onnx(args.model):
            raise ExportError(f'{args.model}: expected an .onnx file of tools/deployment/export.py')
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        metadata = quantize_onnx(args.model, args.out, cfg, args.images)
    print(f'{args.out}: {metadata["detector"]} of 8 bits; what it has lost says')
    print(f'    python tools/deployment/test.py {args.config} {args.out} --eval bbox')


if __name__ == '__main__':
    sys.exit(main())
