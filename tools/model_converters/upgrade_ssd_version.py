"""Give the weights of an SSD made before mmdetection 2.14 their names of today.

    python tools/model_converters/upgrade_ssd_version.py old.pth new.pth

The extra layers and the norm have moved from the backbone to the neck, and the head's convolutions stand one level
deeper.
"""

import argparse
import re
import sys

from mmdet.apis.converting import add_trust_option, read_weights, write_weights
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.output_paths import refuse_input

from torch import Tensor


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('in_file', help='old checkpoint')
    parser.add_argument('out_file', help='file to write')
    add_trust_option(parser)
    return parser.parse_args(argv)


def new_name(name: str) -> str:
    """Name of today; a name of today stays as it is."""
    if name.startswith('backbone.l2_norm.'):
        return f'neck.{name.removeprefix("backbone.")}'
    extra = re.fullmatch(r'backbone\.extra\.(\d+)\.(weight|bias)', name)
    if extra:
        layer, part = divmod(int(extra[1]), 2)  # two convolutions a layer
        return f'neck.extra_layers.{layer}.{part}.conv.{extra[2]}'
    return re.sub(r'^(bbox_head\.(?:cls|reg)_convs\.\d+)\.(weight|bias)$', r'\1.0.\2', name)


def upgrade(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the names of today."""
    return {new_name(name): tensor for name, tensor in state_dict.items()}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.out_file, args.in_file)
    meta = read_checkpoint(args.in_file, trusted=args.trust_checkpoint).get('meta')
    weights = read_weights(args.in_file, trusted=args.trust_checkpoint)
    upgraded = upgrade(weights)
    if upgraded.keys() == weights.keys():
        raise UserError(f'{args.in_file} has no names of an SSD before mmdetection 2.14: there is nothing to rename')
    write_weights(upgraded, args.out_file, meta)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
