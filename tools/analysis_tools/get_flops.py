"""Count operations and parameters of a detector: ``python tools/analysis_tools/get_flops.py CONFIG --shape 1280 800``.

One multiplication with its addition counts as one, as in the tables of papers on detection; what stands outside
modules, such as the products of attention, is not counted. A second stage works on 1000 proposals.
"""

import argparse
import copy
import math
import sys

from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.models import build_detector

from mmcv import Config, DictAction
from mmcv.cnn import get_model_complexity_info


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs='+', default=[1280, 800], help='height and width px; one: a square')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    parser.add_argument('--size-divisor', type=int, default=32, help='pad to multiples of this; -1: do not pad')
    return parser.parse_args(argv)


def padded_shape(shape: list[int], divisor: int) -> tuple[int, int, int]:
    """(3, height, width) of the network's input.

    Raises:
        UserError: not one or two positive numbers.
    """
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise UserError(f'--shape: expected one or two positive numbers, got {shape}')
    height, width = shape if len(shape) == 2 else shape * 2
    if divisor > 0:
        height, width = (math.ceil(side / divisor) * divisor for side in (height, width))
    return 3, height, width


def complexity(cfg: Config, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Multiply-adds and parameters of ``cfg.model``.

    Raises:
        UserError: the detector cannot run on plain tensors.
    """
    cfg = copy.deepcopy(cfg)
    for part in ('backbone', 'neck'):
        if isinstance(cfg.model.get(part), dict):
            cfg.model[part].pop('init_cfg', None)
    cfg.model.pretrained = None
    model = build_detector(cfg.model, test_cfg=cfg.get('test_cfg'), train_cfg=cfg.get('train_cfg')).eval()
    if not hasattr(model, 'forward_dummy'):
        raise UserError(f'{type(model).__name__} has no forward_dummy(img), so its operations cannot be counted')
    model.forward = model.forward_dummy
    return get_model_complexity_info(model, shape, print_per_layer_stat=False, as_strings=False)


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Run the command; gives multiply-adds and parameters."""
    args = parse_args(argv)
    shape = padded_shape(args.shape, args.size_divisor)
    flops, params = complexity(config_from_args(args), shape)
    print(f'input shape {shape}')
    print(f'{flops / 1e9:.2f} GFLOPs (multiply-adds)')
    print(f'{params / 1e6:.2f} M parameters')
    return flops, params


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
