"""Small parts that the tests of the RoI heads share."""

from types import SimpleNamespace

import pytest
import torch
from mmcv import ConfigDict

TRAIN_CFG = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False),
    sampler=dict(type='RandomSamplerWithIgnore', num=512, pos_fraction=0.25, add_gt_as_proposals=True),
    pos_weight=-1,
    mask_size=6,
)
TEST_CFG = dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5, mask_thr_binary=0.5)


@pytest.fixture
def rcnn_cfg():
    """Training settings and test settings of a RoI head."""
    return ConfigDict(TRAIN_CFG), ConfigDict(TEST_CFG)


@pytest.fixture
def sampled():
    """Factory of a sampling result: p positives of classes ``labels``, then ``num_neg`` negatives."""

    def make(labels, num_neg, shift=0.0):
        num_pos = len(labels)
        starts = torch.arange(num_pos + num_neg, dtype=torch.float32)[:, None] * 7 + shift
        boxes = torch.cat([starts, starts, starts + 20, starts + 30], dim=1)
        pos, neg = boxes[:num_pos], boxes[num_pos:]
        return SimpleNamespace(
            bboxes=boxes,
            pos_bboxes=pos,
            neg_bboxes=neg,
            pos_gt_bboxes=pos + 2,
            pos_gt_labels=torch.tensor(labels, dtype=torch.long),
            pos_assigned_gt_inds=torch.arange(num_pos),
            pos_is_gt=torch.zeros(num_pos, dtype=torch.uint8),
        )

    return make


@pytest.fixture
def roi_batch():
    """Two images: feature maps of strides 8 and 16, meta information, proposals, objects, classes, extra labels."""
    torch.manual_seed(0)
    feats = [torch.randn(2, 4, 12, 16), torch.randn(2, 4, 6, 8)]
    gt_bboxes = [torch.tensor([[10.0, 10, 50, 60], [60, 20, 110, 80]]), torch.tensor([[20.0, 30, 90, 90]])]
    noise = torch.tensor([[1.0, 2, 3, -2], [40, 30, 10, 5], [-30, 5, -20, 6]])
    proposals = [(boxes[:, None] + noise).reshape(-1, 4).clamp(min=0) for boxes in gt_bboxes]
    metas = [
        dict(img_shape=(96, 128, 3), scale_factor=2.0, ori_shape=(48, 64, 3), extra_label_name='domain', domain=i)
        for i in (0, 2)
    ]
    return dict(
        x=feats,
        img_metas=metas,
        proposal_list=proposals,
        gt_bboxes=gt_bboxes,
        gt_labels=[torch.tensor([0, 2]), torch.tensor([1])],
        gt_extra_labels=[torch.tensor([0, 1]), torch.tensor([2])],
    )


@pytest.fixture
def roi_head_cfg():
    """Constructor arguments of a small RoI head with three classes."""
    return dict(
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2),
            out_channels=4,
            featmap_strides=[8, 16],
        ),
        bbox_head=dict(type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=8, roi_feat_size=3, num_classes=3),
    )
