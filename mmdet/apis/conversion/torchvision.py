"""Weights of torchvision's detectors as weights of the configs in ``configs/torchvision/``, and back.

torchvision counts background as class 0, ours is the last; its COCO models have 91 classes, the category ids of COCO's
files, of which 80 are used. What else differs is a matter of the configs: see docs/equivalence.md.
"""

import functools
import re
from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision.models import detection

from mmdet.apis.conversion.rules import Change, ConversionError, Rule, convert, rename
from mmdet.models.backbones.layers.mobilenet_base import torchvision_names
from mmdet.models.backbones.mobilenet_v3 import MobileNetV3

COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # category ids below 91 that COCO's detection task does not use
COCO_SIZE = 91
UNSEEN_LOGIT = -1e4  # of classes that only the other library has: never detected, and finite in half precision
NORM = r'(weight|bias|running_mean|running_var|num_batches_tracked)'

NECK = [
    Rule(r'backbone\.fpn\.inner_blocks\.(\d+)\.1\.' + NORM, r'neck.lateral_convs.\1.bn.\2'),
    Rule(r'backbone\.fpn\.inner_blocks\.(\d+)\.(?:0\.)?(weight|bias)', r'neck.lateral_convs.\1.conv.\2'),
    Rule(r'backbone\.fpn\.layer_blocks\.(\d+)\.1\.' + NORM, r'neck.fpn_convs.\1.bn.\2'),
    Rule(r'backbone\.fpn\.layer_blocks\.(\d+)\.(?:0\.)?(weight|bias)', r'neck.fpn_convs.\1.conv.\2'),
    Rule(r'backbone\.fpn\.extra_blocks\.p6\.(weight|bias)', r'neck.fpn_convs.3.conv.\1'),
    Rule(r'backbone\.fpn\.extra_blocks\.p7\.(weight|bias)', r'neck.fpn_convs.4.conv.\1'),
]
RESNET = [Rule(r'backbone\.body\.((?:conv1|bn1|layer\d)\..+)', r'backbone.\1')]
RPN = [
    Rule(r'rpn\.head\.cls_logits\.(weight|bias)', r'rpn_head.rpn_cls.\1'),
    Rule(r'rpn\.head\.bbox_pred\.(weight|bias)', r'rpn_head.rpn_reg.\1'),
]
ONE_RPN_CONV = [Rule(r'rpn\.head\.conv\.(?:0\.0\.)?(weight|bias)', r'rpn_head.rpn_conv.\1')]
SEVERAL_RPN_CONVS = [Rule(r'rpn\.head\.conv\.(\d+)\.0\.(weight|bias)', r'rpn_head.rpn_conv.\1.conv.\2')]
ROI = [
    Rule(r'roi_heads\.box_head\.fc6\.(weight|bias)', r'roi_head.bbox_head.shared_fcs.0.\1'),
    Rule(r'roi_heads\.box_head\.fc7\.(weight|bias)', r'roi_head.bbox_head.shared_fcs.1.\1'),
    Rule(r'roi_heads\.box_head\.(\d)\.0\.(weight|bias)', r'roi_head.bbox_head.shared_convs.\1.conv.\2'),
    Rule(r'roi_heads\.box_head\.(\d)\.1\.' + NORM, r'roi_head.bbox_head.shared_convs.\1.bn.\2'),
    Rule(r'roi_heads\.box_head\.5\.(weight|bias)', r'roi_head.bbox_head.shared_fcs.0.\1'),
    Rule(r'roi_heads\.box_predictor\.cls_score\.(weight|bias)', r'roi_head.bbox_head.fc_cls.\1', 'scores'),
    Rule(r'roi_heads\.box_predictor\.bbox_pred\.(weight|bias)', r'roi_head.bbox_head.fc_reg.\1', 'boxes'),
    # in files from before torchvision 0.13 the convolutions are mask_fcn1 to mask_fcn4
    *(
        Rule(rf'roi_heads\.mask_head\.mask_fcn{i + 1}\.(weight|bias)', rf'roi_head.mask_head.convs.{i}.conv.\1')
        for i in range(4)
    ),
    Rule(r'roi_heads\.mask_head\.(\d)\.0\.(weight|bias)', r'roi_head.mask_head.convs.\1.conv.\2'),
    Rule(r'roi_heads\.mask_head\.(\d)\.1\.' + NORM, r'roi_head.mask_head.convs.\1.bn.\2'),
    Rule(r'roi_heads\.mask_predictor\.conv5_mask\.(weight|bias)', r'roi_head.mask_head.upsample.\1'),
    Rule(r'roi_heads\.mask_predictor\.mask_fcn_logits\.(weight|bias)', r'roi_head.mask_head.conv_logits.\1', 'masks'),
    # a ReLU stands between two convolutions, hence the even numbers
    *(
        Rule(rf'roi_heads\.keypoint_head\.{2 * i}\.(weight|bias)', rf'roi_head.keypoint_head.convs.{i}.conv.\1')
        for i in range(8)
    ),
    Rule(r'roi_heads\.keypoint_predictor\.kps_score_lowres\.(weight|bias)', r'roi_head.keypoint_head.upsample.\1'),
]
RETINA_BRANCHES = (('classification_head', 'cls_convs'), ('regression_head', 'reg_convs'))
RETINA = [
    *(
        rule
        for theirs, ours in RETINA_BRANCHES
        for rule in (
            Rule(rf'head\.{theirs}\.conv\.(\d)\.1\.(weight|bias)', rf'bbox_head.{ours}.\1.gn.\2'),
            Rule(rf'head\.{theirs}\.conv\.(\d)\.0\.(weight|bias)', rf'bbox_head.{ours}.\1.conv.\2'),
        )
    ),
    Rule(r'head\.classification_head\.cls_logits\.(weight|bias)', r'bbox_head.retina_cls.\1', 'anchor_scores'),
    Rule(r'head\.regression_head\.bbox_reg\.(weight|bias)', r'bbox_head.retina_reg.\1'),
]


@functools.cache
def mobilenet_rules() -> list[Rule]:
    """Rules for MobileNetV3-Large, whose layers torchvision numbers through."""
    names = torchvision_names(MobileNetV3('large_split', out_indices=(4, 6)), second=False)
    return [
        Rule(re.escape(f'backbone.body.{theirs.removeprefix("features.")}.') + '(.+)', rf'backbone.{ours}.\1')
        for theirs, ours in names.items()
    ]


def rules_for(names: set[str]) -> list[Rule]:
    """The rules for a model with these names; its RPN's convolution is named by how many there are."""
    several = any(name.startswith('rpn.head.conv.1.') for name in names)
    return [*NECK, *RESNET, *mobilenet_rules(), *RPN, *(SEVERAL_RPN_CONVS if several else ONE_RPN_CONV), *ROI, *RETINA]


def used_classes(num_classes: int) -> list[int]:
    """Their numbers of the classes that we number from 0: all but background, of COCO's 91 those that are used."""
    gaps = COCO_GAPS if num_classes == COCO_SIZE else ()
    return [number for number in range(1, num_classes) if number not in gaps]


def their_num_classes(state_dict: dict[str, Tensor]) -> int:
    """Number of classes, background included, of a state dict with torchvision's names.

    Raises:
        ConversionError: it has no layer that tells.
    """
    for name, anchors in (
        ('roi_heads.box_predictor.cls_score.bias', None),
        ('head.classification_head.cls_logits.bias', 'head.regression_head.bbox_reg.bias'),
    ):
        if name in state_dict:
            return len(state_dict[name]) // (len(state_dict[anchors]) // 4 if anchors else 1)
    raise ConversionError('no class scores in the file: it is none of a torchvision detector')


def torchvision_to_mmdet(state_dict: dict[str, Tensor]) -> OrderedDict[str, Any]:
    """State dict of a torchvision detector -> that of the config of the same name in ``configs/torchvision/``.

    Raises:
        ConversionError: an entry is not known.
    """
    num_classes = their_num_classes(state_dict)
    keep = torch.tensor(used_classes(num_classes))
    changes: dict[str, Change] = dict(
        scores=lambda value: torch.cat([value[keep], value[:1]]),  # background moves to the end
        boxes=lambda value: value.unflatten(0, (num_classes, 4))[keep].flatten(0, 1),
        masks=lambda value: value[keep],
        anchor_scores=lambda value: value.unflatten(0, (-1, num_classes))[:, keep].flatten(0, 1),
    )
    return convert(state_dict, rules_for(set(state_dict)), changes, 'torchvision')


def mmdet_to_torchvision(state_dict: dict[str, Tensor], model: str, num_classes: int) -> OrderedDict[str, Any]:
    """State dict of one of our detectors -> that of torchvision's model.

    Args:
        state_dict: with our names.
        model: name of torchvision's builder, such as ``'fasterrcnn_resnet50_fpn'``.
        num_classes: theirs, background included: ours + 1, or 91 for a detector of COCO's 80 classes.

    Returns:
        It fits ``torchvision.models.detection.<model>(num_classes=num_classes)``; classes that only theirs has are
        never detected.

    Raises:
        ConversionError: torchvision has no such model, or an entry is missing or of another shape.
    """
    template = _template(model, num_classes)
    keep = torch.tensor(used_classes(num_classes))
    changes = {
        name: partial(change, keep=keep, num_classes=num_classes)
        for name, change in dict(
            scores=_scores_back, boxes=_boxes_back, masks=_rows_back, anchor_scores=_anchors_back
        ).items()
    }
    rules, out = rules_for(set(template)), OrderedDict()
    for name, wanted in template.items():
        target, change = rename(name, rules) or (None, None)
        if target is None or target not in state_dict:
            if name.endswith('num_batches_tracked'):
                continue
            raise ConversionError(f'{target!r} is missing, which becomes {name!r} of {model}')
        value = changes[change](state_dict[target]) if change else state_dict[target]
        if value.shape != wanted.shape:
            raise ConversionError(
                f'{target!r} becomes {name!r} of shape {tuple(value.shape)}; {model} with {num_classes} classes has '
                f'{tuple(wanted.shape)}'
            )
        out[name] = value
    return out


def _template(model: str, num_classes: int) -> dict[str, Tensor]:
    """Their state dict, without values."""
    if not hasattr(detection, model):
        known = [name for name in dir(detection) if name.endswith(('_fpn', '_fpn_v2'))]
        raise ConversionError(f'torchvision has no detector {model!r}; it has {", ".join(known)}')
    with torch.device('meta'):
        return getattr(detection, model)(weights=None, weights_backbone=None, num_classes=num_classes).state_dict()


def _scores_back(value: Tensor, keep: Tensor, num_classes: int) -> Tensor:
    """(K + 1, ...), background last -> (num_classes, ...), background first."""
    out = value.new_zeros(num_classes, *value.shape[1:])
    if value.dim() == 1:
        out.fill_(UNSEEN_LOGIT)
    out[0], out[keep] = value[-1], value[:-1]
    return out


def _rows_back(value: Tensor, keep: Tensor, num_classes: int) -> Tensor:
    """(K, ...) -> (num_classes, ...), zero for classes that ours does not have."""
    out = value.new_zeros(num_classes, *value.shape[1:])
    out[keep] = value
    return out


def _boxes_back(value: Tensor, keep: Tensor, num_classes: int) -> Tensor:
    """(4 K, ...) -> (4 num_classes, ...)."""
    return _rows_back(value.unflatten(0, (-1, 4)), keep, num_classes).flatten(0, 1)


def _anchors_back(value: Tensor, keep: Tensor, num_classes: int) -> Tensor:
    """(A K, ...) -> (A num_classes, ...)."""
    by_anchor = value.unflatten(0, (-1, len(keep)))
    out = value.new_zeros(len(by_anchor), num_classes, *value.shape[1:])
    if value.dim() == 1:
        out.fill_(UNSEEN_LOGIT)
    out[:, keep] = by_anchor
    return out.flatten(0, 1)
