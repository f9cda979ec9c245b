"""RoI heads that are tested on images without proposals."""

import numpy as np
import pytest
import torch
from mmcv import ConfigDict

from mmdet.models import build_head

EXTRACTOR = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    out_channels=8,
    featmap_strides=[4],
)
METAS = [dict(img_shape=(32, 32, 3), ori_shape=(32, 32, 3), scale_factor=np.ones(4, np.float32))] * 2
FEATS = (torch.rand(2, 8, 8, 8),)


def standard(test_cfg):
    return build_head(
        dict(
            type='StandardRoIHead',
            bbox_roi_extractor=EXTRACTOR,
            bbox_head=dict(type='Shared2FCBBoxHead', in_channels=8, fc_out_channels=8, num_classes=3),
            mask_roi_extractor=EXTRACTOR,
            mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=8, conv_out_channels=8, num_classes=3),
            test_cfg=test_cfg,
        )
    ).eval()


TEST_CFG = dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10, mask_thr_binary=0.5)


@pytest.mark.parametrize('columns', [4, 5])
def test_standard_head_finds_nothing(columns):
    results = standard(TEST_CFG).simple_test(FEATS, [torch.zeros(0, columns)] * 2, METAS)
    assert len(results) == 2
    for boxes, masks in results:
        assert [b.shape for b in boxes] == [(0, 5)] * 3
        assert masks == [[], [], []]


def test_raw_boxes_of_nothing_have_four_columns():
    dets, scores = standard(None).simple_test_bboxes(FEATS, METAS, [torch.zeros(0, 4), torch.zeros(0, 4)], None)
    assert [d.shape for d in dets] == [(0, 4)] * 2
    assert [s.shape for s in scores] == [(0, 4)] * 2  # three classes and background


@pytest.mark.parametrize('features', [torch.zeros(1, 0, 8), torch.zeros(1, 100, 4)])
@pytest.mark.parametrize('with_mask', [False, True])
def test_sparse_head_without_boxes_looks_at_no_features(features, with_mask):
    dynamic = dict(type='DynamicConv', in_channels=8, feat_channels=4, out_channels=8, input_feat_shape=7)
    bbox = dict(type='DIIHead', num_classes=3, in_channels=8, num_heads=2, feedforward_channels=8)
    bbox.update(dynamic_conv_cfg=dynamic, loss_cls=dict(type='FocalLoss', use_sigmoid=True))
    masks = dict(
        mask_roi_extractor=EXTRACTOR,
        mask_head=dict(
            type='DynamicMaskHead',
            num_classes=3,
            num_convs=1,
            in_channels=8,
            conv_out_channels=8,
            roi_feat_size=7,
            dynamic_conv_cfg=dict(dynamic, with_proj=False),
            loss_mask=dict(type='DiceLoss'),
        ),
    )
    head = build_head(
        dict(
            type='SparseRoIHead',
            num_stages=1,
            stage_loss_weights=[1],
            proposal_feature_channel=8,
            bbox_roi_extractor=EXTRACTOR,
            bbox_head=[bbox],
            test_cfg=ConfigDict(max_per_img=10, mask_thr_binary=0.5),
            **(masks if with_mask else {}),
        )
    ).eval()
    (result,) = head.simple_test((torch.rand(1, 3, 8, 8),), torch.zeros(1, 0, 4), features, METAS[:1], torch.ones(1, 4))
    boxes = result[0] if with_mask else result
    assert [b.shape for b in boxes] == [(0, 5)] * 3
    assert not with_mask or result[1] == [[], [], []]
