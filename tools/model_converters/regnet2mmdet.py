"""Convert a RegNet of pycls to the names of the backbone ``RegNet``.

python tools/model_converters/regnet2mmdet.py RegNetX-3.2GF.pyth regnetx_3.2gf.pth
"""

import argparse
import sys

from mmdet.apis.converting import add_trust_option, left_out, read_weights, renamed, write_weights
from mmdet.apis.launch import reported_errors
from mmdet.utils.output_paths import refuse_input

from torch import Tensor

# blocks are counted from 1 there and from 0 here, hence a mark that is replaced after the rules
BLOCK = r's(\d+)\.b(\d+)'
LETTERS = {'a': 1, 'b': 2, 'c': 3}
STEM_RULES = ((r'stem\.conv\.(.*)', r'conv1.\1'), (r'stem\.bn\.(.*)', r'bn1.\1'))
SHORTCUT_RULES = (
    (rf'{BLOCK}\.proj\.(.*)', r'layer\1.<\2>.downsample.0.\3'),
    (rf'{BLOCK}\.bn\.(.*)', r'layer\1.<\2>.downsample.1.\3'),
)
CONV_RULES = tuple(
    rule
    for letter, number in LETTERS.items()
    for rule in (
        (rf'{BLOCK}\.f\.{letter}\.(.*)', rf'layer\1.<\2>.conv{number}.\3'),
        (rf'{BLOCK}\.f\.{letter}_bn\.(.*)', rf'layer\1.<\2>.bn{number}.\3'),
    )
)
RULES = STEM_RULES + SHORTCUT_RULES + CONV_RULES


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', help='checkpoint of pycls')
    parser.add_argument('dst', help='file to write')
    add_trust_option(parser)
    return parser.parse_args(argv)


def convert(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the backbone under its names; those of the classifier are left out."""
    marked = renamed(state_dict, RULES)
    return {_counted_from_zero(name): tensor for name, tensor in marked.items()}


def _counted_from_zero(name: str) -> str:
    """``layer1.<1>.conv1.weight`` -> ``layer1.0.conv1.weight``."""
    before, mark, rest = name.partition('<')
    if not mark:
        return name
    number, _, after = rest.partition('>')
    return f'{before}{int(number) - 1}{after}'


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.dst, args.src)
    state_dict = read_weights(args.src, ('model_state', 'state_dict'), args.trust_checkpoint)
    write_weights(convert(state_dict), args.dst)
    print(f'left out: {", ".join(left_out(state_dict, RULES)) or "nothing"}')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
