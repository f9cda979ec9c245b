"""Small heads over one or two levels with known anchors."""

import copy

import pytest
import torch

from mmdet.models.builder import HEADS

# One anchor a cell, 8 px wide, centred on the cell's corner: on a 2x2 map of stride 8 they are
# (-4, -4, 4, 4), (4, -4, 12, 4), (-4, 4, 4, 12), (4, 4, 12, 12).
ANCHORS = dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[8])
TRAIN = dict(
    assigner=dict(
        type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3, match_low_quality=True,
        ignore_iof_thr=0.5,
    ),
    sampler=dict(type='RandomSampler', num=1000, pos_fraction=0.5, add_gt_as_proposals=False),
    allowed_border=-1,
    pos_weight=-1,
)  # fmt: skip
TEST = dict(
    nms_pre=100, score_thr=0.05, min_bbox_size=0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10
)  # fmt: skip


@pytest.fixture
def build_head():
    """``build_head(type, train=..., test=..., **arguments)``: a head for features of 4 channels."""

    def build(kind='RPNHead', train=None, test=None, **kwargs):
        cfg = dict(
            type=kind, in_channels=4, feat_channels=4, anchor_generator=copy.deepcopy(ANCHORS),
            train_cfg=copy.deepcopy(TRAIN) | (train or {}), test_cfg=copy.deepcopy(TEST) | (test or {}),
        )  # fmt: skip
        torch.manual_seed(0)
        return HEADS.build(cfg | kwargs)

    return build


@pytest.fixture
def meta():
    """``meta(height, width, **fields)``: meta information of an unscaled image without padding."""

    def make(height=16, width=16, **fields):
        shape = (height, width, 3)
        return dict(img_shape=shape, pad_shape=shape, scale_factor=1.0, flip=False, flip_direction=None) | fields

    return make
