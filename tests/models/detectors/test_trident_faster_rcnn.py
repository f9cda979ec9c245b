import copy
from types import MappingProxyType

import numpy as np
import pytest
import torch

BACKBONE = dict(
    type='TridentResNet', depth=50, base_channels=2, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
    out_indices=(2,), num_branch=2, test_branch_idx=-1, trident_dilations=(1, 2),
)  # fmt: skip
RPN_HEAD = dict(
    type='RPNHead', in_channels=32, feat_channels=4,
    anchor_generator=dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[16]),
)  # fmt: skip
ROI_HEAD = dict(
    type='TridentRoIHead', num_branch=2, test_branch_idx=-1,
    bbox_roi_extractor=dict(
        type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=1), out_channels=32,
        featmap_strides=[16],
    ),
    bbox_head=dict(type='Shared2FCBBoxHead', in_channels=32, fc_out_channels=8, roi_feat_size=2, num_classes=3),
)  # fmt: skip


@pytest.fixture
def trident(build):
    def make(dilations=(1, 2), trunk=MappingProxyType({}), **head):
        backbone, roi_head = dict(BACKBONE, trident_dilations=dilations, **trunk), copy.deepcopy(ROI_HEAD) | head
        return build('faster_rcnn', type='TridentFasterRCNN', backbone=backbone, rpn_head=RPN_HEAD, roi_head=roi_head)

    return make


def test_every_branch_trains_on_every_image(trident, batch):
    model = trident().train()
    losses = model.forward_train(**batch, gt_bboxes_ignore=[torch.zeros(0, 4), torch.tensor([[0.0, 0, 30, 30]])])
    assert [int(res.num_gts) for res in model.roi_head.sampling_results] == [2, 0, 2, 0]
    sum(sum(v) if isinstance(v, list) else v for k, v in losses.items() if 'loss' in k).backward()
    assert model.backbone.layer3[1].conv2.weight.grad.abs().sum() > 0


def test_detections_of_each_image_do_not_depend_on_the_others(trident, batch):
    model = trident().eval()
    with torch.no_grad():
        both = model.simple_test(batch['img'], batch['img_metas'], rescale=True)
        second = model.simple_test(batch['img'][1:], batch['img_metas'][1:], rescale=True)
    assert len(both) == 2 and sum(map(len, both[0])) == 5
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-4)


def test_given_proposals_serve_all_branches(trident, batch):
    model = trident().eval()
    with torch.no_grad():
        results = model.simple_test(batch['img'], batch['img_metas'], proposals=batch['gt_bboxes'])
    assert sum(map(len, results[0])) > 0 and sum(map(len, results[1])) == 0


def test_views_of_an_image_are_merged(trident, batch):
    model = trident().eval()
    img, metas = batch['img'][:1], batch['img_metas'][:1]
    with torch.no_grad():
        (one,) = model.aug_test([img], [metas], rescale=True)
        (two,) = model.aug_test([img, img], [metas, metas], rescale=True)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_results_as_tensors_are_those_of_the_one_branch_of_a_test(trident, batch):
    model = trident(trunk=dict(test_branch_idx=1), test_branch_idx=1).eval()
    with torch.no_grad():
        results = model.simple_test(batch['img'], batch['img_metas'])
        dets, labels = model.onnx_export(batch['img'], batch['img_metas'])
    for result, own_dets, own_labels in zip(results, dets, labels):
        for label, expected in enumerate(result):
            np.testing.assert_allclose(own_dets[own_labels == label], expected, rtol=1e-4, atol=1e-4)
    assert (labels >= 0).sum() == sum(map(len, results[0])) + sum(map(len, results[1])) > 0
    both = trident()
    with pytest.raises(NotImplementedError, match='several branches cannot be exported; set test_branch_idx'):
        both.onnx_export(batch['img'], batch['img_metas'])
    with pytest.raises(NotImplementedError, match='several branches cannot be exported; set test_branch_idx'):
        both.roi_head.onnx_export([batch['img']], batch['gt_bboxes'], batch['img_metas'])


def test_backbone_and_head_must_agree(trident):
    with pytest.raises(ValueError, match='test_branch_idx: backbone and roi_head must agree, got -1 and 1'):
        trident(test_branch_idx=1)
