"""Upgrade a checkpoint of mmdetection 1.x to 2.x.

    python tools/model_converters/upgrade_model_version.py old.pth new.pth --num-classes 81

Three things have changed:

- In 1.x the background is class 0 of heads that end in softmax, in 2.x it is the last class: their outputs are rolled.
- Box regression and mask prediction by class had outputs for the background, which are dropped.
- What belongs to the second stage of a detector is part of ``roi_head``, and a few layers have other names.

``--num-classes`` is that of the 1.x config, with the background. Outputs of sigmoid heads (RetinaNet, FCOS, RPN),
which had no background, stay as they are.
"""

import argparse
import re
import sys

from mmdet.apis.converting import add_trust_option, read_weights, write_weights
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.output_paths import refuse_input

import torch
from torch import Tensor

SECOND_STAGE = (
    'bbox_head',
    'bbox_roi_extractor',
    'glbctx_head',
    'grid_head',
    'grid_roi_extractor',
    'mask_head',
    'mask_iou_head',
    'mask_roi_extractor',
    'semantic_head',
    'semantic_roi_extractor',
    'shared_head',
)
LAYER_NAMES = (
    (r'\.(?:fcos|fovea)_cls\.', '.conv_cls.'),
    (r'\.(?:fcos|fovea)_reg\.', '.conv_reg.'),
    (r'\.fcos_centerness\.', '.conv_centerness.'),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('in_file', help='checkpoint of 1.x')
    parser.add_argument('out_file', help='file to write')
    parser.add_argument('--num-classes', type=int, default=81, help='classes of the 1.x config, with the background')
    add_trust_option(parser)
    args = parser.parse_args(argv)
    if args.num_classes < 2:
        parser.error('--num-classes counts the background: it must be 2 or more')
    return args


def background_last(outputs: Tensor, num_classes: int) -> Tensor:
    """Move the background from the first to the last place.

    Args:
        outputs: weight or bias of a layer with (A * ``num_classes``, ...) outputs: A anchors, the classes of each.
        num_classes: with the background.
    """
    per_anchor = outputs.reshape(-1, num_classes, *outputs.shape[1:])
    return torch.roll(per_anchor, -1, dims=1).reshape(outputs.shape)


def without_background(outputs: Tensor, num_classes: int) -> Tensor:
    """Drop the outputs of the background: (``num_classes`` * n, ...) -> (``num_classes`` * n - n, ...)."""
    return outputs[len(outputs) // num_classes :].clone()


# of SSD: without levels below, as `cls_convs.0.weight`; it has outputs for each of its anchors
SSD_SCORES = r'(^|\.)bbox_head\.cls_convs\.\d+\.(weight|bias)$'
# names of layers, their outputs for each class, those of a layer that is the same for all classes, what becomes of them
LAYERS_BY_CLASS = (
    (r'\.fc_cls\.(weight|bias)$', 1, None, background_last),
    (SSD_SCORES, 1, None, background_last),
    (r'\.fc_reg\.(weight|bias)$', 4, 4, without_background),
    (r'mask_head(\.\d+)?\.conv_logits\.(weight|bias)$', 1, 1, without_background),
    (r'mask_iou_head\.fc_mask_iou\.(weight|bias)$', 1, 1, without_background),
)


def new_name(name: str, two_stages: bool) -> str:
    """Name in 2.x.

    Args:
        name: in 1.x.
        two_stages: the detector has proposals.
    """
    for pattern, replacement in LAYER_NAMES:
        name = re.sub(pattern, replacement, name)
    if two_stages and name.split('.')[0] in SECOND_STAGE:
        return f'roi_head.{name}'
    return name


def upgraded(name: str, tensor: Tensor, num_classes: int) -> Tensor:
    """Outputs of the layer ``name`` in the order of 2.x; other tensors come back as they are.

    Raises:
        UserError: the layer has outputs for another number of classes.
    """
    for pattern, each, agnostic, change in LAYERS_BY_CLASS:
        if not re.search(pattern, name) or len(tensor) == agnostic:
            continue
        anchors, rest = divmod(len(tensor), each * num_classes)
        if rest or (anchors != 1 and pattern != SSD_SCORES):
            raise UserError(f'{name} has {len(tensor)} outputs, which --num-classes {num_classes} do not explain')
        return change(tensor, num_classes)
    return tensor


def upgrade(state_dict: dict[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Weights of 2.x from those of 1.x.

    Args:
        state_dict: of 1.x.
        num_classes: with the background.

    Raises:
        UserError: the weights are of 2.x already, or of another number of classes.
    """
    if any(name.startswith('roi_head.') for name in state_dict):
        raise UserError('the weights are of 2.x already: they have names that begin with roi_head')
    two_stages = any(name.startswith('rpn_head.') for name in state_dict) or any(
        re.match(r'bbox_head(\.\d+)?\.fc_cls\.', name) for name in state_dict
    )
    return {new_name(name, two_stages): upgraded(name, tensor, num_classes) for name, tensor in state_dict.items()}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.out_file, args.in_file)
    meta = read_checkpoint(args.in_file, trusted=args.trust_checkpoint).get('meta')
    state_dict = read_weights(args.in_file, trusted=args.trust_checkpoint)
    upgraded_weights = upgrade(state_dict, args.num_classes)
    write_weights(upgraded_weights, args.out_file, meta)
    same = sum(state_dict.get(name) is tensor for name, tensor in upgraded_weights.items())
    print(f'{len(upgraded_weights) - same} of them have another name or other values than in {args.in_file}')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
