"""Small detectors with domain classifiers, and a batch of a source and a target image."""

import copy

import pytest
import torch
from torch import nn

from mmdet.models.builder import BACKBONES, build_detector


@BACKBONES.register_module(force=True)
class TwoMaps(nn.Module):
    """Maps of 4 channels at strides 8 and 16."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 4, 2, 2)

    def forward(self, img):
        feat = self.first(img)
        return feat, self.second(feat)


def matching(pos, neg, add):
    return dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=pos, neg_iou_thr=neg, min_pos_iou=neg),
        sampler=dict(type='RandomSamplerWithIgnore', num=1000, pos_fraction=0.5, add_gt_as_proposals=add),
        allowed_border=-1,
        pos_weight=-1,
    )


NMS = dict(type='nms', iou_threshold=0.5)
PROPOSALS = dict(nms_pre=50, max_per_img=20, nms=NMS, min_bbox_size=0)
RPN_HEAD = dict(
    type='RPNHeadWithWeightPerImage',
    in_channels=4,
    feat_channels=4,
    anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16]),
)
EXTRACTOR = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=1),
    out_channels=4,
    featmap_strides=[8, 16],
)
BOX_HEAD = dict(
    type='Shared2FCBBoxHeadWithWeightPerImage',
    in_channels=4,
    fc_out_channels=8,
    roi_feat_size=2,
    num_classes=3,
    reg_class_agnostic=True,
)
DOMAIN = dict(
    image=dict(in_channels=4, hidden_channels=8, loss_weight=1.0),
    instance=dict(in_channels=4, hidden_channels=8, loss_weight=1.0, dropout=0.0),
    consistency_weight=1.0,
    reversal=dict(policy='constant', value=0.5),
)
HEADS = dict(
    FasterRCNN=dict(type='StandardRoIHead', bbox_roi_extractor=EXTRACTOR, bbox_head=BOX_HEAD),
    CascadeRCNN=dict(
        type='CascadeRoIHead',
        num_stages=2,
        stage_loss_weights=[1, 0.5],
        bbox_roi_extractor=EXTRACTOR,
        bbox_head=BOX_HEAD,
    ),
)


def config(detector, domain):
    rcnn = matching(0.5, 0.5, True)
    train_cfg = dict(rpn=matching(0.7, 0.3, False), rpn_proposal=PROPOSALS)
    train_cfg['rcnn'] = rcnn if detector == 'FasterRCNN' else [rcnn, rcnn]
    if domain is not None:
        train_cfg['domain'] = domain
    return dict(
        type=detector,
        backbone=dict(type='TwoMaps'),
        rpn_head=RPN_HEAD,
        roi_head=HEADS[detector],
        train_cfg=train_cfg,
        test_cfg=dict(rpn=PROPOSALS, rcnn=dict(score_thr=0.0, nms=NMS, max_per_img=5)),
    )


@pytest.fixture
def build():
    """``build(detector='FasterRCNN', domain=DOMAIN, **changes of it)``; ``domain=None``: without classifiers."""

    def make(detector='FasterRCNN', domain=DOMAIN, **changes):
        torch.manual_seed(0)
        cfg = config(detector, None if domain is None else {**domain, **changes})
        return build_detector(copy.deepcopy(cfg))

    return make


@pytest.fixture
def batch():
    """A labelled image of domain 0 and an unlabelled one of domain 1, 32 x 48 px."""
    generator = torch.Generator().manual_seed(0)
    shape = (32, 48, 3)
    meta = dict(
        img_shape=shape,
        pad_shape=shape,
        ori_shape=(16, 24, 3),
        scale_factor=torch.tensor([2.0] * 4).numpy(),
        flip=False,
        flip_direction=None,
    )
    unlabelled = {'ignore_negatives': 1, 'rpn_head.loss_weight': 0.0, 'roi_head.loss_weight': 0.0}
    return dict(
        img=torch.randn(2, 3, 32, 48, generator=generator),
        img_metas=[dict(meta, domain=0), dict(meta, domain=1, **unlabelled)],
        gt_bboxes=[torch.tensor([[8.0, 8, 24, 24], [20, 2, 46, 30]]), torch.zeros(0, 4)],
        gt_labels=[torch.tensor([0, 2]), torch.zeros(0, dtype=torch.long)],
    )
