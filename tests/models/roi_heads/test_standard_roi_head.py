import asyncio

import numpy as np
import pytest
import torch
from mmcv import ConfigDict

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_head
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import Shared2FCBBoxHead
from mmdet.models.roi_heads.bbox_heads.custom_bbox_head import Shared2FCBBoxHeadWithWeightPerImage
from mmdet.models.roi_heads.standard_roi_head import positive_rows

MASK = dict(
    mask_roi_extractor=dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2),
        out_channels=4,
        featmap_strides=[8, 16],
    ),
    mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3),
)


@pytest.fixture
def make_head(roi_head_cfg, rcnn_cfg):
    def make(kind='StandardRoIHead', **kwargs):
        torch.manual_seed(0)
        train_cfg, test_cfg = rcnn_cfg
        cfg = {**roi_head_cfg, **kwargs, 'type': kind}
        return build_head(ConfigDict(train_cfg=train_cfg, test_cfg=test_cfg, **cfg))

    return make


def train(head, batch, **changes):
    inputs = {**batch, **changes}
    inputs.pop('gt_extra_labels')
    losses = head.forward_train(**inputs)
    total = sum(value for key, value in losses.items() if 'loss' in key)
    return losses, total


def bitmaps(batch):
    return [BitmapMasks(np.ones((len(b), 96, 128), dtype=np.uint8), 96, 128) for b in batch['gt_bboxes']]


@pytest.mark.parametrize('mask', [{}, MASK, dict(MASK, mask_roi_extractor=None)], ids=['box', 'mask', 'shared_rois'])
def test_training_gives_its_losses_and_reaches_every_parameter(mask, make_head, roi_batch):
    head = make_head(**mask)
    losses, total = train(head, roi_batch, gt_masks=bitmaps(roi_batch))
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc'} | ({'loss_mask'} if mask else set())
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in head.named_parameters() if 'bias' in n)
    assert [len(r.pos_bboxes) + len(r.neg_bboxes) for r in head.sampling_results] == [8, 4]


@pytest.mark.parametrize('mask', [MASK, dict(MASK, mask_roi_extractor=None)], ids=['mask', 'shared_rois'])
def test_nothing_sampled_keeps_all_keys_and_every_parameter(mask, make_head, roi_batch):
    head = make_head(**mask)
    flagged = [dict(meta, ignore_negatives=1) for meta in roi_batch['img_metas']]
    empty, labels = [torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2
    batch = dict(roi_batch, gt_bboxes=empty, gt_labels=labels, img_metas=flagged)
    losses, total = train(head, batch, gt_masks=bitmaps(batch))
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc', 'loss_mask'}
    assert all(value == 0 for value in losses.values())
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() == 0 for p in head.parameters())


def test_meta_information_reaches_sampler_and_targets(make_head, roi_batch, roi_head_cfg):
    box_head = dict(roi_head_cfg['bbox_head'], type='Shared2FCBBoxHeadWithWeightPerImage')
    head = make_head(bbox_head=box_head)
    metas = [
        {**roi_batch['img_metas'][0], 'ignore_negatives': 1},
        {**roi_batch['img_metas'][1], 'roi_head.loss_weight': 0},
    ]
    plain = train(head, roi_batch)[0]
    mixed = train(head, roi_batch, img_metas=metas)[0]
    assert [len(r.neg_bboxes) == 0 for r in head.sampling_results] == [True, False]
    only_first = train(head, roi_batch, img_metas=[{**metas[0], 'roi_head.loss_weight': 0}, metas[1]])[0]
    assert only_first['loss_cls'] == 0 < mixed['loss_cls'] != plain['loss_cls']


class PublicTargets(Shared2FCBBoxHead):
    """A user's head whose ``get_targets`` has the public signature."""

    def get_targets(self, sampling_results, gt_bboxes, gt_labels, rcnn_train_cfg, concat=True):
        return super().get_targets(sampling_results, gt_bboxes, gt_labels, rcnn_train_cfg, concat)


class PassingOn(Shared2FCBBoxHeadWithWeightPerImage):
    """A user's head that passes whatever it is given on."""

    def get_targets(self, *args, **kwargs):
        return super().get_targets(*args, **kwargs)


def test_weights_survive_a_get_targets_that_names_no_arguments(make_head, roi_batch):
    head = make_head()
    head.bbox_head = PassingOn(in_channels=4, fc_out_channels=8, roi_feat_size=3, num_classes=3)
    metas = [{**meta, 'roi_head.loss_weight': 0} for meta in roi_batch['img_metas']]
    assert train(head, roi_batch, img_metas=metas)[0]['loss_cls'] == 0


def test_box_heads_with_the_public_get_targets_train(make_head, roi_batch):
    head = make_head()
    head.bbox_head = PublicTargets(in_channels=4, fc_out_channels=8, roi_feat_size=3, num_classes=3)
    assert train(head, roi_batch)[0]['loss_cls'].requires_grad


def test_debug_results_only_on_demand(make_head, roi_batch):
    head = make_head()
    train(head, roi_batch)
    assert not hasattr(head, 'debug_results')
    head.keep_debug_results = True
    train(head, roi_batch)
    num = sum(len(r.bboxes) for r in head.sampling_results)
    assert head.debug_results['features'].shape == (num, 4, 3, 3)
    assert sorted(set(head.debug_results['labels'].tolist())) == [0, 1, 2, 3]


def test_ohem_sampler_asks_the_head(make_head, roi_batch, rcnn_cfg):
    rcnn_cfg[0].sampler = dict(type='OHEMSampler', num=3, pos_fraction=0.5)
    head = make_head()
    assert train(head, roi_batch)[1].isfinite()
    assert [len(r.bboxes) for r in head.sampling_results] == [3, 3]


def test_positive_rows_come_first_in_each_image(sampled):
    assert positive_rows([sampled([1, 2], 1), sampled([], 2), sampled([0], 0)]).tolist() == [1, 1, 0, 0, 0, 1]


def test_mask_forward_takes_either_rois_or_rows(make_head):
    with pytest.raises(ValueError, match='either rois, or pos_inds and bbox_feats'):
        make_head(**MASK)._mask_forward([])


@pytest.mark.parametrize('rescale', [False, True])
def test_batch_inference_equals_image_by_image(rescale, make_head, roi_batch):
    head = make_head(**MASK).eval()
    x, proposals, metas = roi_batch['x'], roi_batch['proposal_list'], roi_batch['img_metas']
    both = head.simple_test(x, proposals, metas, rescale=rescale)
    for i in range(2):
        one = head.simple_test([f[i : i + 1] for f in x], proposals[i : i + 1], metas[i : i + 1], rescale=rescale)
        assert sum(map(len, one[0][0])) > 0
        for mine, other in zip(both[i][0], one[0][0]):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
        for mine, other in zip(sum(both[i][1], []), sum(one[0][1], [])):
            assert mine.shape == ((48, 64) if rescale else (96, 128)) and (mine == other).mean() > 0.99


@pytest.mark.parametrize('counts', [(0, 6), (0, 0)])
def test_inference_with_images_without_proposals(counts, make_head, roi_batch):
    head = make_head(**MASK).eval()
    proposals = [p.repeat(2, 1)[:n] for p, n in zip(roi_batch['proposal_list'], counts)]
    results = head.simple_test(roi_batch['x'], proposals, roi_batch['img_metas'], rescale=True)
    for (boxes, masks), count in zip(results, counts):
        assert [len(b) for b in boxes] == [len(m) for m in masks]
        assert boxes[0].shape[1] == 5 and (sum(map(len, boxes)) > 0) == (count > 0)


def test_one_unflipped_view_gives_the_simple_result(make_head, roi_batch):
    head = make_head(**MASK).eval()
    x = [f[:1] for f in roi_batch['x']]
    meta = dict(roi_batch['img_metas'][0], scale_factor=np.float32([2] * 4), flip=False, flip_direction=None)
    proposals = roi_batch['proposal_list'][:1]
    simple = head.simple_test(x, proposals, [meta], rescale=True)[0]
    (merged,) = head.aug_test([x], [proposals[0] / 2], [[meta]], rescale=True)
    for a, b in zip(simple[0], merged[0]):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert all((a == b).mean() > 0.99 for a, b in zip(sum(simple[1], []), sum(merged[1], [])))
    (scaled,) = head.aug_test([x], [proposals[0] / 2], [[meta]], rescale=False)
    np.testing.assert_allclose(scaled[0][0][:, :4], merged[0][0][:, :4] * 2, rtol=1e-5)


def test_async_test_gives_the_result_of_one_image(make_head, roi_batch):
    head = make_head().eval()
    args = [f[:1] for f in roi_batch['x']], roi_batch['proposal_list'][:1], roi_batch['img_metas'][:1]
    expected = head.simple_test(*args)[0]
    assert all(np.array_equal(a, b) for a, b in zip(asyncio.run(head.async_simple_test(*args)), expected))


def test_double_head_regresses_from_enlarged_rois(make_head, roi_batch):
    box_head = dict(
        type='DoubleConvFCBBoxHead', num_convs=1, num_fcs=1, in_channels=4, conv_out_channels=8, fc_out_channels=8,
        roi_feat_size=3, num_classes=3,
    )  # fmt: skip
    head = make_head('DoubleHeadRoIHead', reg_roi_scale_factor=1.3, bbox_head=box_head).eval()
    rois = torch.tensor([[0, 30.0, 30, 60, 60]])
    enlarged = torch.tensor([[0, 25.5, 25.5, 64.5, 64.5]])
    results = head._bbox_forward(roi_batch['x'], rois)
    features = [head.bbox_roi_extractor(roi_batch['x'], r) for r in (rois, enlarged)]
    expected = head.bbox_head(*features)
    torch.testing.assert_close(results['cls_score'], expected[0])
    torch.testing.assert_close(results['bbox_pred'], expected[1])
    assert train(head.train(), roi_batch)[1].isfinite()


def test_head_without_box_branch_says_what_it_needs(make_head):
    with pytest.raises(ValueError, match='needs a bbox_head'):
        make_head(bbox_head=None).simple_test([], [], [])
