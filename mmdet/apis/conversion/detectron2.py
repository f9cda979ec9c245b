"""Weights of Detectron2's R50-FPN detectors as weights of our caffe-style configs.

Only names and shapes of its published files are used. Their background is the last class, as ours; what the configs
must say (BGR images, the stride in the 1x1 convolution) is in docs/equivalence.md.
"""

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.apis.conversion.rules import ConversionError, Rule, convert
from mmdet.utils.checkpoints.checkpoint_io import read_file
from mmdet.utils.plain_data import ArrayUnpickler

NORM = r'(weight|bias|running_mean|running_var|num_batches_tracked)'
LEVELS = range(2, 6)

RULES = [
    Rule(r'backbone\.bottom_up\.stem\.conv1\.norm\.' + NORM, r'backbone.bn1.\1'),
    Rule(r'backbone\.bottom_up\.stem\.conv1\.weight', r'backbone.conv1.weight'),
    *(
        rule
        for level in LEVELS
        for rule in (
            Rule(
                rf'backbone\.bottom_up\.res{level}\.(\d+)\.shortcut\.norm\.{NORM}',
                rf'backbone.layer{level - 1}.\1.downsample.1.\2',
            ),
            Rule(
                rf'backbone\.bottom_up\.res{level}\.(\d+)\.shortcut\.weight',
                rf'backbone.layer{level - 1}.\1.downsample.0.weight',
            ),
            Rule(
                rf'backbone\.bottom_up\.res{level}\.(\d+)\.conv(\d)\.norm\.{NORM}',
                rf'backbone.layer{level - 1}.\1.bn\2.\3',
            ),
            Rule(
                rf'backbone\.bottom_up\.res{level}\.(\d+)\.conv(\d)\.weight',
                rf'backbone.layer{level - 1}.\1.conv\2.weight',
            ),
            Rule(rf'backbone\.fpn_lateral{level}\.(weight|bias)', rf'neck.lateral_convs.{level - 2}.conv.\1'),
            Rule(rf'backbone\.fpn_output{level}\.(weight|bias)', rf'neck.fpn_convs.{level - 2}.conv.\1'),
        )
    ),
    Rule(r'proposal_generator\.rpn_head\.conv\.(weight|bias)', r'rpn_head.rpn_conv.\1'),
    Rule(r'proposal_generator\.rpn_head\.objectness_logits\.(weight|bias)', r'rpn_head.rpn_cls.\1'),
    Rule(r'proposal_generator\.rpn_head\.anchor_deltas\.(weight|bias)', r'rpn_head.rpn_reg.\1'),
    *(
        Rule(rf'roi_heads\.box_head\.fc{i + 1}\.(weight|bias)', rf'roi_head.bbox_head.shared_fcs.{i}.\1')
        for i in range(2)
    ),
    Rule(r'roi_heads\.box_predictor\.cls_score\.(weight|bias)', r'roi_head.bbox_head.fc_cls.\1'),
    Rule(r'roi_heads\.box_predictor\.bbox_pred\.(weight|bias)', r'roi_head.bbox_head.fc_reg.\1'),
    *(
        Rule(rf'roi_heads\.mask_head\.mask_fcn{i + 1}\.(weight|bias)', rf'roi_head.mask_head.convs.{i}.conv.\1')
        for i in range(4)
    ),
    Rule(r'roi_heads\.mask_head\.deconv\.(weight|bias)', r'roi_head.mask_head.upsample.\1'),
    Rule(r'roi_heads\.mask_head\.predictor\.(weight|bias)', r'roi_head.mask_head.conv_logits.\1'),
    *(
        Rule(rf'roi_heads\.keypoint_head\.conv_fcn{i + 1}\.(weight|bias)', rf'roi_head.keypoint_head.convs.{i}.conv.\1')
        for i in range(8)
    ),
    Rule(r'roi_heads\.keypoint_head\.score_lowres\.(weight|bias)', r'roi_head.keypoint_head.upsample.\1'),
    # constants that a config gives here, and the classifier of backbones that were trained on ImageNet
    Rule(r'(?:pixel_(?:mean|std)|proposal_generator\.anchor_generator\.cell_anchors\.\d+)', None),
    Rule(r'(?:backbone\.bottom_up\.)?stem\.fc\..+', None),
]


def detectron2_to_mmdet(state_dict: dict[str, Any]) -> OrderedDict[str, Any]:
    """State dict of a Detectron2 Faster, Mask or Keypoint R-CNN with R50-FPN -> ours; arrays become tensors.

    Raises:
        ConversionError: an entry is not known, or the names are those of caffe2's blobs.
    """
    blobs = [name for name in state_dict if name.endswith(('_w', '_bn_s')) and '.' not in name]
    if blobs:
        raise ConversionError(
            f'{len(blobs)} entries are blobs of caffe2 ({", ".join(blobs[:3])}), as in files of Detectron and of '
            'backbones from ImageNet; tools/model_converters/detectron2pytorch.py converts such backbones'
        )
    tensors = {name: torch.as_tensor(value) for name, value in state_dict.items()}
    return convert(tensors, RULES, {}, 'Detectron2')


def read_detectron2_file(path: str | Path) -> dict[str, Tensor | np.ndarray]:
    """The state dict in a ``.pkl`` or ``.pth`` file of Detectron2.

    Raises:
        ConversionError: the file holds no model.
        UnsafeCheckpointError, pickle.UnpicklingError: it holds more than arrays and plain values.
    """
    path = Path(path).expanduser()
    content = read_arrays(path) if path.suffix == '.pkl' else read_file(path)
    model = content.get('model', content) if isinstance(content, dict) else None
    if not isinstance(model, dict) or not model:
        raise ConversionError(f'{path} holds no model')
    return {name: value for name, value in model.items() if isinstance(value, (Tensor, np.ndarray))}


def read_arrays(path: str | Path) -> Any:
    """What a pickle of arrays and plain values holds, written by Python 2 or 3.

    Raises:
        pickle.UnpicklingError: it holds something else.
    """
    return ArrayUnpickler(io.BytesIO(Path(path).read_bytes())).load()
