import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import Shared2FCBBoxHead
from mmdet.models.roi_heads.bbox_heads.custom_bbox_head import (
    CustomBBoxHeadWithWeightPerImage,
    Shared2FCBBoxHeadWithWeightPerImage,
)

CFG = ConfigDict(pos_weight=-1)
SETTINGS = dict(in_channels=2, roi_feat_size=2, num_classes=3)
NAMES = ['BBoxHead', 'ConvFCBBoxHead', 'Shared2FCBBoxHead', 'Shared4Conv1FCBBoxHead']


def head_of(name):
    torch.manual_seed(1)
    extra = dict(num_cls_fcs=1, num_reg_convs=1) if name == 'ConvFCBBoxHead' else {}
    return build_head(dict(type=f'{name}WithWeightPerImage', **SETTINGS, **extra))


def losses_and_grads(head, results, weights):
    """loss_cls, loss_bbox and the gradient of their sum, for two images with these weights."""
    metas = [{} if w is None else {'roi_head.loss_weight': w} for w in weights]
    rois = torch.cat(
        [torch.cat([r.bboxes.new_full((len(r.bboxes), 1), i), r.bboxes], 1) for i, r in enumerate(results)]
    )
    feats = torch.randn(len(rois), 2, 2, 2, generator=torch.Generator().manual_seed(3))
    targets = head.get_targets(results, None, None, CFG, img_metas=metas)
    losses = head.loss(*head(feats), rois, *targets)
    grads = torch.autograd.grad(losses['loss_cls'] + losses['loss_bbox'], list(head.parameters()))
    return (
        torch.stack([losses['loss_cls'], losses['loss_bbox']]),
        torch.cat([g.flatten() for g in grads]),
        losses['acc'],
    )


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('weights', [(0, 100), (0.5, 3), (7, 0), (1e-30, 1), (None, 10)])
def test_losses_and_gradients_are_linear_in_each_weight(name, weights, sampled):
    head, results = head_of(name), [sampled([1, 2], 3), sampled([0], 6, shift=5)]
    first, second = (losses_and_grads(head, results, w) for w in ((1, 0), (0, 1)))
    got = losses_and_grads(head, results, weights)
    w1, w2 = (1 if w is None else w for w in weights)
    for value, one, other in zip(got[:2], first, second):
        torch.testing.assert_close(value, w1 * one + w2 * other, rtol=1e-4, atol=1e-6)
    assert got[2] == first[2]  # accuracy is not weighted


def test_weights_of_one_are_the_ordinary_loss(sampled):
    results = [sampled([1], 2), sampled([0], 1)]
    weighted = head_of('Shared2FCBBoxHead')
    ordinary = Shared2FCBBoxHead(**SETTINGS)
    ordinary.load_state_dict(weighted.state_dict())
    for one, other in zip(losses_and_grads(weighted, results, (1, None)), losses_and_grads(ordinary, results, (9, 9))):
        torch.testing.assert_close(one, other)


def test_all_weights_zero_give_zero_losses_and_zero_gradients(sampled):
    losses, grads, _ = losses_and_grads(head_of('BBoxHead'), [sampled([1], 2), sampled([0], 1)], (0, 0))
    assert losses.tolist() == [0, 0] and losses.requires_grad
    assert grads.abs().sum() == 0


def test_box_weight_overrides_the_weight_of_the_roi_head(sampled):
    meta = {'bbox_head.loss_weight': 3, 'roi_head.loss_weight': 5}
    weights = head_of('BBoxHead').get_targets([sampled([1], 1)], None, None, CFG, img_metas=[meta])
    assert weights[1].tolist() == [3, 3]
    assert weights[3].tolist() == [[3] * 4, [0] * 4]


class FiveArguments(Shared2FCBBoxHeadWithWeightPerImage):
    """A user's subclass that does not know of meta information."""

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg):
        return super()._get_target_single(pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg)


class SixArguments(Shared2FCBBoxHeadWithWeightPerImage):
    """A user's subclass that hands the meta information on."""

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, img_metas, cfg):
        return super()._get_target_single(pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, img_metas, cfg)


class PublicParent(Shared2FCBBoxHead):
    """A user's head with the public signature, to be mixed with the weights."""

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg):
        return super()._get_target_single(pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg)


class MixedIn(CustomBBoxHeadWithWeightPerImage, PublicParent):
    """The weights before a user's head."""


@pytest.mark.parametrize('cls', [FiveArguments, SixArguments, MixedIn])
def test_users_subclasses_are_weighted_exactly_once(cls, sampled):
    results = [sampled([1], 1), sampled([], 1)]
    metas = [{'roi_head.loss_weight': 4.0}, {}]
    targets = cls(**SETTINGS).get_targets(results, None, None, CFG, img_metas=metas)
    assert targets[1].tolist() == [4, 4, 1]
    assert targets[3][:, 0].tolist() == [4, 0, 0]


def test_impossible_weight_names_its_key(sampled):
    with pytest.raises(ValueError, match='roi_head.loss_weight: expected a finite number >= 0, got -1'):
        head_of('BBoxHead').get_targets([sampled([1], 1)], None, None, CFG, img_metas=[{'roi_head.loss_weight': -1}])


def single(head, result, meta, *cfg):
    boxes = result.pos_bboxes, result.neg_bboxes, result.pos_gt_bboxes, result.pos_gt_labels
    return head._get_target_single(*boxes, meta, *cfg)


def test_targets_of_a_single_image_are_weighed_and_those_of_a_batch_only_once(sampled):
    head, result = head_of('Shared2FCBBoxHead'), sampled([1], 1)
    meta = {'roi_head.loss_weight': 4.0, 'bbox_head.negative_weight': 0.5}
    _, label_weights, _, bbox_weights = single(head, result, meta, CFG)
    assert label_weights.tolist() == [4, 2] and bbox_weights[:, 0].tolist() == [4, 0]
    of_batch = head.get_targets([result], None, None, CFG, img_metas=[meta])
    assert of_batch[1].tolist() == [4, 2] and of_batch[3][:, 0].tolist() == [4, 0]
    assert single(head, result, CFG)[1].tolist() == [1, 1]  # five arguments: the fifth is cfg


@pytest.mark.parametrize('meta', [None, {}, {'roi_head.loss_weight': 1}])
def test_single_targets_of_weight_one_are_the_very_same_objects(meta, sampled, monkeypatch):
    head, result = head_of('Shared2FCBBoxHead'), sampled([1], 1)
    plain = single(Shared2FCBBoxHead(**SETTINGS), result, None, CFG)
    monkeypatch.setattr(Shared2FCBBoxHead, '_get_target_single', lambda *args, img_metas=None: plain)
    got = single(head, result, meta, CFG)
    assert all(a is b for a, b in zip(got, plain, strict=True))


class RotatedBoxes(Shared2FCBBoxHead):
    """A plugin's head: box targets of five numbers, and a fifth item for a loss of its own."""

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg):
        labels, label_weights, targets, weights = super()._get_target_single(
            pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg
        )
        angles = torch.arange(len(labels)).float()[:, None]
        return labels, label_weights, torch.cat([targets, angles], 1), weights[:, [0, 1, 2, 3, 3]], angles


@pytest.mark.parametrize('weight', [1, 4])
@pytest.mark.parametrize('enabled', [False, True])
def test_boxes_of_five_numbers_and_further_items_pass_through(enabled, weight, sampled):
    head = type('Rotated', (RotatedBoxes,), dict(weighs_images=enabled))(**SETTINGS)
    results, metas = [sampled([1], 1), sampled([], 1)], [{'roi_head.loss_weight': weight}, {}]
    _, label_weights, targets, bbox_weights, angles = head.get_targets(results, None, None, CFG, img_metas=metas)
    factor = weight if enabled else 1
    assert label_weights.tolist() == [factor, factor, 1]
    assert targets.shape == (3, 5) and targets[:, 4].tolist() == [0, 1, 0]
    assert bbox_weights.tolist() == [[factor] * 5, [0] * 5, [0] * 5]
    assert angles.flatten().tolist() == [0, 1, 0]
