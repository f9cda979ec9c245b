"""Convert a ResNet that MoCo or SwAV has trained without labels to the names of the backbone ``ResNet``.

python tools/model_converters/selfsup2mmdet.py moco_v2_800ep_pretrain.pth.tar moco_v2.pth --selfsup moco
"""

import argparse
import sys

from mmdet.apis.converting import add_trust_option, left_out, read_weights, renamed, write_weights
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.output_paths import refuse_input

from torch import Tensor

PARTS = r'((?:conv1|bn1|layer\d+)\..*)'
# of MoCo the encoder of the queries counts, not its slow copy; the last layers of both serve their training only
RULES = {'moco': ((rf'module\.encoder_q\.{PARTS}', r'\1'),), 'swav': ((rf'(?:module\.)?{PARTS}', r'\1'),)}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', help='checkpoint of MoCo or SwAV')
    parser.add_argument('dst', help='file to write')
    parser.add_argument('--selfsup', type=str, choices=['moco', 'swav'], help='which of the two')
    add_trust_option(parser)
    return parser.parse_args(argv)


def convert(state_dict: dict[str, Tensor], selfsup: str) -> dict[str, Tensor]:
    """Weights of the backbone under its names.

    Args:
        state_dict: as it was trained.
        selfsup: ``'moco'`` or ``'swav'``.
    """
    return renamed(state_dict, RULES[selfsup])


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.dst, args.src)
    if args.selfsup is None:
        raise UserError('say with --selfsup moco or --selfsup swav what the weights are of')
    state_dict = read_weights(args.src, trusted=args.trust_checkpoint)
    write_weights(convert(state_dict, args.selfsup), args.dst)
    print(f'{len(left_out(state_dict, RULES[args.selfsup]))} tensors left out')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
