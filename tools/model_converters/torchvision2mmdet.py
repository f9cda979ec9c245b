"""Convert a detector's weights from torchvision's names to ours, or back."""

import argparse
import sys

from mmdet.apis.conversion import ConversionError, mmdet_to_torchvision, torchvision_to_mmdet
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.checkpoints.checkpoint_io import plain, write_file
from mmdet.utils.output_paths import refuse_input


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description='Convert weights of a torchvision detector for the configs of configs/torchvision, or back'
    )
    parser.add_argument('src', help='checkpoint file, or torchvision://NAME')
    parser.add_argument('dst', help='file to write')
    parser.add_argument('--to-torchvision', metavar='MODEL', help='the way back, for this model of torchvision')
    parser.add_argument(
        '--num-classes', type=int, help='classes of that model, background included; default: ours and background'
    )
    return parser.parse_args(argv)


def our_num_classes(state_dict: dict) -> int:
    """Classes and background of one of our detectors, from the shapes of its last layers.

    Raises:
        UserError: they do not tell.
    """
    if 'roi_head.bbox_head.fc_cls.bias' in state_dict:
        return len(state_dict['roi_head.bbox_head.fc_cls.bias'])
    if 'bbox_head.retina_cls.bias' in state_dict:
        anchors = len(state_dict['bbox_head.retina_reg.bias']) // 4
        return len(state_dict['bbox_head.retina_cls.bias']) // anchors + 1
    raise UserError('the file has no class scores of a two-stage detector or RetinaNet; give --num-classes')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.dst, args.src)
    try:
        content = read_checkpoint(args.src)
    except KeyError as error:  # a name of torchvision that there is not
        raise UserError(error.args[0]) from error
    state_dict = content.get('state_dict', content)
    try:
        if args.to_torchvision:
            num_classes = args.num_classes or our_num_classes(state_dict)
            out = mmdet_to_torchvision(state_dict, args.to_torchvision, num_classes)
        else:
            out = dict(state_dict=torchvision_to_mmdet(state_dict), meta=dict(converted_from='torchvision'))
    except ConversionError as error:
        raise UserError(f'{args.src}: {error}') from error
    write_file(plain(out), args.dst)
    print(f'{args.dst}: {len(out.get("state_dict", out))} tensors')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
