"""Convert a ResNet of Detectron (the first one, on Caffe2) to the names of the backbone ``ResNet``, ``style='caffe'``.

python tools/model_converters/detectron2pytorch.py R-50.pkl resnet50_caffe.pth 50
"""

import argparse
import pickle
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from mmdet.apis.conversion import read_arrays
from mmdet.apis.converting import renamed, write_weights
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.output_paths import refuse_input

import numpy as np
import torch
from torch import Tensor

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
BRANCHES = {'a': 1, 'b': 2, 'c': 3}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', help='pickle of Detectron')
    parser.add_argument('dst', help='file to write')
    parser.add_argument('depth', type=int, help=f'depth of the network: {" or ".join(map(str, BLOCKS))}')
    return parser.parse_args(argv)


def rules(depth: int) -> list[tuple[str, str]]:
    """(pattern, replacement) for the blobs of a ResNet.

    Raises:
        UserError: another depth.
    """
    if depth not in BLOCKS:
        raise UserError(f'depth: expected {" or ".join(map(str, BLOCKS))}, got {depth}')
    found = [(r'conv1_w', 'conv1.weight'), (r'res_conv1_bn_s', 'bn1.weight'), (r'res_conv1_bn_b', 'bn1.bias')]
    for stage, count in enumerate(BLOCKS[depth], 1):
        for block in range(count):
            source, target = f'res{stage + 1}_{block}_branch', f'layer{stage}.{block}'
            parts = {f'2{letter}': (f'conv{n}', f'bn{n}') for letter, n in BRANCHES.items()}
            if block == 0:
                parts['1'] = ('downsample.0', 'downsample.1')
            for part, (conv, norm) in parts.items():
                found += [
                    (f'{source}{part}_w', f'{target}.{conv}.weight'),
                    (f'{source}{part}_bn_s', f'{target}.{norm}.weight'),
                    (f'{source}{part}_bn_b', f'{target}.{norm}.bias'),
                ]
    return found


def convert(blobs: Mapping[str, np.ndarray], depth: int) -> dict[str, Tensor]:
    """Weights of the backbone.

    Detectron has folded the statistics of batch norm into its scale and shift, so that the running mean is 0 and the
    variance 1 here.

    Args:
        blobs: arrays by Caffe2's names; those of the optimizer and the classifier are left out.
        depth: 50 or 101.

    Raises:
        UserError: another depth, or a blob of such a network is missing.
    """
    known = rules(depth)
    missing = [source for source, _ in known if source not in blobs]
    if missing:
        raise UserError(f'{len(missing)} blobs of a ResNet-{depth} are missing, such as {missing[0]}')
    arrays = {name: torch.from_numpy(np.ascontiguousarray(blobs[name])) for name, _ in known}
    weights = renamed(arrays, known)
    out = {}
    for name, tensor in weights.items():
        out[name] = tensor
        if name.endswith('.bias'):  # only batch norms have one
            prefix = name.removesuffix('bias')
            out[f'{prefix}running_mean'] = torch.zeros_like(tensor)
            out[f'{prefix}running_var'] = torch.ones_like(tensor)
    return out


def read_blobs(path: str) -> Mapping[str, np.ndarray]:
    """Arrays of a pickle of Detectron.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    if not Path(path).is_file():
        raise UserError(f'there is no {path}')
    try:
        content = read_arrays(path)
    except (pickle.UnpicklingError, EOFError) as error:
        raise UserError(f'{path}: {" ".join(str(error).split())}') from error
    if not isinstance(content, (dict, OrderedDict)):
        raise UserError(f'{path}: expected a dict of arrays, got {type(content).__name__}')
    return content.get('blobs', content)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.dst, args.src)
    write_weights(convert(read_blobs(args.src), args.depth), args.dst)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
