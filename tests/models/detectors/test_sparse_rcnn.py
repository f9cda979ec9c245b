"""Sparse R-CNN and QueryInst as whole detectors."""

import numpy as np
import pytest
import torch

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_detector

CONV = dict(type='DynamicConv', in_channels=4, feat_channels=2, out_channels=4, input_feat_shape=2)
EXTRACTOR = dict(
    type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=1), out_channels=4,
    featmap_strides=[8, 16],
)  # fmt: skip
BOX = dict(
    type='DIIHead', num_classes=3, num_heads=1, feedforward_channels=4, in_channels=4, dynamic_conv_cfg=CONV,
    loss_cls=dict(type='FocalLoss', use_sigmoid=True),
)  # fmt: skip
MASK = dict(
    type='DynamicMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3,
    dynamic_conv_cfg=dict(CONV, with_proj=False), loss_mask=dict(type='DiceLoss', activate=False),
)  # fmt: skip
RCNN = dict(assigner=dict(type='HungarianAssigner'), sampler=dict(type='PseudoSampler'), pos_weight=1, mask_size=4)


def make(kind, **changes):
    torch.manual_seed(0)
    masks = dict(mask_head=MASK) if kind == 'QueryInst' else {}
    roi_head = dict(
        type='SparseRoIHead', num_stages=2, stage_loss_weights=[1, 1], proposal_feature_channel=4, bbox_head=BOX,
        bbox_roi_extractor=EXTRACTOR, **masks,
    )  # fmt: skip
    model = dict(
        type=kind, backbone=dict(type='TwoConvs'), roi_head=roi_head,
        rpn_head=dict(type='EmbeddingRPNHead', num_proposals=6, proposal_feature_channel=4),
        train_cfg=dict(rpn=None, rcnn=[RCNN] * 2),
        test_cfg=dict(rpn=None, rcnn=dict(max_per_img=4, mask_thr_binary=0.5)),
    )  # fmt: skip
    return build_detector(model | changes)


@pytest.mark.parametrize('kind', ['SparseRCNN', 'QueryInst'])
def test_training_reaches_the_learnt_proposals(kind, batch):
    masks = [BitmapMasks(np.ones((len(b), 32, 48), np.uint8), 32, 48) for b in batch['gt_bboxes']]
    detector = make(kind)
    detector.init_weights()
    out = detector.train_step(dict(batch, gt_masks=masks), None)
    out['loss'].backward()
    assert all(p.grad is not None for p in detector.parameters())
    assert detector.rpn_head.init_proposal_features.weight.grad.abs().sum() > 0
    assert ('stage1_loss_mask' in out['log_vars']) == (kind == 'QueryInst')


@pytest.mark.parametrize('kind', ['SparseRCNN', 'QueryInst'])
def test_results_are_listed_by_class(kind, batch):
    detector = make(kind).eval()
    results = detector(return_loss=False, img=[batch['img']], img_metas=[batch['img_metas']], rescale=True)
    boxes, masks = zip(*results) if kind == 'QueryInst' else (results, [])
    assert [len(of_image) for of_image in boxes] == [3, 3]
    assert [sum(map(len, of_image)) for of_image in boxes] == [4, 4]
    assert all(mask.shape == (16, 24) for of_image in masks for of_class in of_image for mask in of_class)
    assert len(detector.forward_dummy(batch['img'])) == 2


def test_foreign_proposals_and_views_are_refused(batch):
    detector = make('SparseRCNN')
    with pytest.raises(ValueError, match='takes none from outside'):
        detector.forward_train(**batch, proposals=[torch.zeros(1, 4)] * 2)
    with pytest.raises(ValueError, match='needs an rpn_head'):
        make('SparseRCNN', rpn_head=None)
    one = batch['img'][:1]
    with pytest.raises(NotImplementedError, match='one view'):
        detector.forward_test([one, one], [batch['img_metas'][:1]] * 2)
