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
from mmdet.apis.launch import reported_errors
from mmdet.utils.checkpoints.checkpoint import read_checkpoint

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
    """Outputs of the layer ``name`` in the order of 2.x; other tensors come back as they are."""
    by_class = tensor.ndim > 0 and len(tensor) % num_classes == 0
    if re.search(r'\.fc_cls\.(weight|bias)$', name) and len(tensor) == num_classes:
        return background_last(tensor, num_classes)
    # the convolutions of SSD: without levels below, as `cls_convs.0.weight`
    if re.search(r'(^|\.)bbox_head\.cls_convs\.\d+\.(weight|bias)$', name) and by_class:
        return background_last(tensor, num_classes)
    if re.search(r'\.fc_reg\.(weight|bias)$', name) and len(tensor) == 4 * num_classes:
        return without_background(tensor, num_classes)
    if re.search(r'mask_head(\.\d+)?\.conv_logits\.(weight|bias)$', name) and len(tensor) == num_classes:
        return without_background(tensor, num_classes)
    if re.search(r'mask_iou_head\.fc_mask_iou\.(weight|bias)$', name) and len(tensor) == num_classes:
        return without_background(tensor, num_classes)
    return tensor


def upgrade(state_dict: dict[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Weights of 2.x from those of 1.x.

    Args:
        state_dict: of 1.x.
        num_classes: with the background.
    """
    two_stages = any(name.startswith('rpn_head.') for name in state_dict) or any(
        re.match(r'bbox_head(\.\d+)?\.fc_cls\.', name) for name in state_dict
    )
    return {new_name(name, two_stages): upgraded(name, tensor, num_classes) for name, tensor in state_dict.items()}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    meta = read_checkpoint(args.in_file, trusted=args.trust_checkpoint).get('meta')
    state_dict = read_weights(args.in_file, trusted=args.trust_checkpoint)
    write_weights(upgrade(state_dict, args.num_classes), args.out_file, meta)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
