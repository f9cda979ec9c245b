"""Mask Scoring and PointRend: RoI heads that add a head to the mask branch."""

import numpy as np
import pytest
import torch
from mmcv import ConfigDict

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_head

EXTRACTOR = dict(
    type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=4, sampling_ratio=2), out_channels=4,
    featmap_strides=[8, 16],
)  # fmt: skip
SCORING = dict(
    type='MaskScoringRoIHead',
    mask_roi_extractor=EXTRACTOR,
    mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3),
    mask_iou_head=dict(
        type='MaskIoUHead', num_convs=1, num_fcs=1, roi_feat_size=4, in_channels=4, conv_out_channels=4,
        fc_out_channels=8, num_classes=3,
    ),
)  # fmt: skip
RENDING = dict(
    type='PointRendRoIHead',
    mask_roi_extractor=dict(
        type='GenericRoIExtractor', aggregation='concat', out_channels=4, featmap_strides=[8],
        roi_layer=dict(type='SimpleRoIAlign', output_size=4),
    ),
    mask_head=dict(
        type='CoarseMaskHead', num_fcs=1, fc_out_channels=8, in_channels=4, conv_out_channels=4, num_classes=3,
        roi_feat_size=4,
    ),
    point_head=dict(type='MaskPointHead', num_fcs=1, in_channels=4, fc_channels=4, num_classes=3),
)  # fmt: skip
TRAIN = dict(mask_thr_binary=0.5, num_points=5, oversample_ratio=3, importance_sample_ratio=0.75)
TEST = dict(subdivision_steps=3, subdivision_num_points=20, scale_factor=2)
KINDS = [(SCORING, 'loss_mask_iou', 8), (RENDING, 'loss_point', 2)]


@pytest.fixture
def make_head(roi_head_cfg, rcnn_cfg):
    def make(parts, mask_size=8, **test):
        torch.manual_seed(0)
        train_cfg, test_cfg = rcnn_cfg
        cfg = {**roi_head_cfg, **parts}
        train_cfg = {**train_cfg, **TRAIN, 'mask_size': mask_size}
        return build_head(ConfigDict(train_cfg=train_cfg, test_cfg={**test_cfg, **TEST, **test}, **cfg))

    return make


def train(head, batch):
    inputs = {key: value for key, value in batch.items() if key != 'gt_extra_labels'}
    masks = [BitmapMasks(np.ones((len(b), 96, 128), dtype=np.uint8), 96, 128) for b in batch['gt_bboxes']]
    losses = head.forward_train(**inputs, gt_masks=masks)
    return losses, sum(value for key, value in losses.items() if 'loss' in key)


@pytest.mark.parametrize('parts, name, size', KINDS)
def test_training_reaches_every_parameter(parts, name, size, make_head, roi_batch):
    head = make_head(parts, size)
    losses, total = train(head, roi_batch)
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc', 'loss_mask', name}
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize('parts, name, size', KINDS)
def test_nothing_sampled_keeps_all_keys_and_every_parameter(parts, name, size, make_head, roi_batch):
    head = make_head(parts, size)
    flagged = [dict(meta, ignore_negatives=1) for meta in roi_batch['img_metas']]
    empty, labels = [torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2
    losses, total = train(head, dict(roi_batch, gt_bboxes=empty, gt_labels=labels, img_metas=flagged))
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc', 'loss_mask', name}
    assert all(value == 0 for value in losses.values())
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() == 0 for p in head.parameters())


@pytest.mark.parametrize('parts', [SCORING, RENDING])
def test_every_mask_has_the_size_of_the_image_and_its_score(parts, make_head, roi_batch):
    head = make_head(parts, score_thr=0.0)
    with torch.no_grad():
        results = head.simple_test(roi_batch['x'], roi_batch['proposal_list'], roi_batch['img_metas'], rescale=True)
    for boxes, masks in results:
        if parts is SCORING:
            masks, scores = masks
            assert [len(s) for s in scores] == [len(b) for b in boxes]
        assert [len(m) for m in masks] == [len(b) for b in boxes] and sum(map(len, masks)) == 5
        assert {mask.shape for by_class in masks for mask in by_class} == {(48, 64)}


@pytest.mark.parametrize('parts', [SCORING, RENDING])
def test_no_detection_gives_no_mask(parts, make_head, roi_batch):
    head = make_head(parts, score_thr=1.0)
    results = head.simple_test(roi_batch['x'], roi_batch['proposal_list'], roi_batch['img_metas'], rescale=True)
    for _, masks in results:
        masks, *scores = masks if parts is SCORING else (masks,)
        assert masks == [[], [], []]
        assert all(len(s) == 0 for by_class in scores for s in by_class)


def test_a_head_without_a_mask_branch_is_refused(roi_head_cfg):
    for cfg, key in ((SCORING, 'mask_iou_head'), (RENDING, 'point_head')):
        with pytest.raises(ValueError, match='mask_head'):
            build_head({**roi_head_cfg, 'type': cfg['type'], key: cfg[key]})


def test_refined_cells_are_those_that_the_point_head_says(make_head, roi_batch):
    """With one step and every cell uncertain, the refined mask is the point head's answer at each cell."""
    head = make_head(RENDING, subdivision_steps=1, subdivision_num_points=16)
    rois, labels = torch.tensor([[0.0, 10, 10, 50, 60], [1, 20, 30, 90, 90]]), torch.tensor([2, 0])
    coarse = torch.randn(2, 3, 2, 2)
    refined = head._mask_point_forward_test(roi_batch['x'], rois, labels, coarse)
    middles = (torch.arange(4) + 0.5) / 4
    points = torch.stack(torch.meshgrid(middles, middles, indexing='xy'), -1).reshape(1, 16, 2).expand(2, -1, -1)
    wanted = head._classify_points(roi_batch['x'], rois, points, coarse)[torch.arange(2), labels]
    torch.testing.assert_close(refined, wanted.reshape(2, 1, 4, 4))
