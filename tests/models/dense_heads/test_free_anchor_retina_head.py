import math

import pytest
import torch
from free_anchor_fsaf_fovea_heads_cases import GTS, LABELS, NO_LABELS, NOTHING, feats

from mmdet.models.dense_heads.free_anchor_retina_head import found_by_class

LEVELS = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])


@pytest.fixture
def free(build_head):
    def make(**kwargs):
        focal = dict(type='FocalLoss', use_sigmoid=True)
        loss = dict(loss_cls=focal, loss_bbox=dict(type='SmoothL1Loss', beta=0.11))
        common = dict(num_classes=3, stacked_convs=1, anchor_generator=LEVELS, pre_anchor_topk=3)
        return build_head('FreeAnchorRetinaHead', dict(sampler=None), **common | loss | kwargs)

    return make


def test_found_by_class_by_hand():
    gts, labels = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8]]), torch.tensor([2, 2])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 7], [50, 50, 60, 60]])
    found = found_by_class(boxes, gts, labels, 3, 0.5)
    # IoUs with the first 1, 0.8, 0.7, 0; with the second 0.8, 1, 7 / 8, 0
    torch.testing.assert_close(found[:, 2], torch.tensor([1, 1, (7 / 8 - 0.5) / 0.5, 0]))
    assert not found[:, :2].any()
    assert not found_by_class(boxes, NOTHING, NO_LABELS, 3, 0.5).any()


def test_bag_loss_by_hand(free):
    head = free(alpha=0.25)
    # weights 1 / (1 - p) are 1 and 2: their mean is (0 + 2 * 0.5) / 3
    loss = head.positive_bag_loss(torch.tensor([[0.0, 0.5]]), torch.ones(1, 2))
    torch.testing.assert_close(loss, torch.tensor([0.25 * math.log(3)]))
    negative = head.negative_bag_loss(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(negative, torch.tensor([0.75 * 0.25 * math.log(2), 0.0]))


def test_free_anchor_losses_of_a_batch_are_those_of_its_images(free, meta):
    head, x, metas = free(), feats(), [meta(32, 32)] * 2
    batch = head.loss(*head(x), GTS, LABELS, metas)
    images = [head.loss(*head([f[i : i + 1] for f in x]), GTS[i : i + 1], LABELS[i : i + 1], metas[:1]) for i in (0, 1)]
    for name, value in batch.items():
        torch.testing.assert_close(value * 3, images[0][name] + images[1][name] * 2)


def test_free_anchor_without_objects_is_finite_and_attached(free, meta):
    head = free()
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert losses['positive_bag_loss'] == 0
    assert losses['negative_bag_loss'] > 0
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_free_anchor_takes_bags_larger_than_the_image_has_anchors(free, meta):
    head = free(pre_anchor_topk=500)
    assert head.loss(*head(feats()), GTS, LABELS, [meta(32, 32)] * 2)['positive_bag_loss'].isfinite()
