import math

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.autoassign_head import (
    CenterPrior,
    centre_loss,
    first_inside,
    negative_loss,
    negative_weights,
    positive_loss,
)


def build(**kwargs):
    torch.manual_seed(0)
    return HEADS.build(dict(CASES['AutoAssignHead'], type='AutoAssignHead') | kwargs)


def test_loss_of_positives_by_hand():
    p_pos, prior = torch.tensor([[0.5, 0.2], [0.5, 0.8], [0.9, 0.9]]), torch.tensor([[1.0, 1], [1, 1], [0, 0]])
    weight = torch.tensor([0.6, 2.4]).softmax(0)
    wanted = -math.log(0.5) - math.log(float(weight @ torch.tensor([0.2, 0.8])))
    assert positive_loss(p_pos, prior).item() == pytest.approx(wanted, rel=1e-5)


def test_weights_of_negatives_by_hand():
    ious = torch.tensor([[0.0, 0.3], [0.5, 0.3], [0.75, 0.3], [0.9, 0.0]])
    inside = torch.tensor([[True, False], [True, True], [True, False], [False, False]])
    weights = negative_weights(ious, torch.tensor([1, 1]), inside, 3)
    # 1 / (1 - iou) is 1, 2 and 4 in the first object; the second has one point alone, which is its best
    torch.testing.assert_close(weights[:, 1], torch.tensor([1.0, 0.0, 0.0, 1.0]))
    assert weights[:, [0, 2]].eq(1).all()
    weights = negative_weights(ious[:, :1], torch.tensor([0]), inside[:, :1], 3)
    torch.testing.assert_close(weights[:, 0], torch.tensor([1.0, 2 / 3, 0.0, 1.0]))
    assert negative_weights(ious[:, :0], torch.zeros(0).long(), inside[:, :0], 3).eq(1).all()


def test_loss_of_negatives_by_hand():
    loss = negative_loss(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.5]]))
    wanted = [0.25 * math.log(2), 0.0625 * -math.log(0.75)]
    assert loss.flatten().tolist() == pytest.approx(wanted)


def test_prior_by_hand():
    prior = CenterPrior(num_classes=2, strides=(8,))
    prior.mean.data[1] = torch.tensor([1.0, 0.0])
    points, gts = [torch.tensor([[8.0, 8], [16, 8], [24, 8]])], torch.tensor([[4.0, 4, 20, 12], [4, 4, 20, 12]])
    inside = torch.tensor([[True, True], [True, True], [False, False]])
    weights, mask = prior(points, gts, torch.tensor([0, 1]), inside)
    # the centre is (12, 8): half a stride left and right of it; the mean of class 1 is a stride to the right
    near, far = math.exp(-0.125), math.exp(-1.125)
    torch.testing.assert_close(weights, torch.tensor([[near, far], [near, near], [0, 0]]))
    assert mask.equal(inside)


def test_object_in_which_no_point_lies_may_take_the_best_ones():
    points, gts = [torch.tensor([[8.0, 8], [16, 8], [24, 8]])], torch.tensor([[9.0, 9, 12, 12], [4, 4, 20, 12]])
    inside = torch.tensor([[False, True], [False, True], [False, False]])
    for force, wanted in ((True, [True, True, False]), (False, [False, False, False])):
        prior = CenterPrior(force, topk=2, num_classes=1, strides=(8,))
        weights, mask = prior(points, gts, torch.zeros(2).long(), inside)
        assert mask[:, 0].tolist() == wanted and mask[:, 1].equal(inside[:, 1])
        assert weights[:, 0].gt(0).tolist() == wanted


def test_loss_of_the_prior():
    assert centre_loss(torch.tensor([[0.5, 0.0], [0.25, 0.25]])).item() == 2
    assert centre_loss(torch.zeros(2, 1)).item() == 0 == centre_loss(torch.zeros(2, 0)).item()


def test_targets_by_hand():
    points = [torch.tensor([[8.0, 8], [16, 8]])]
    (inside, empty), (distances, _) = build().get_targets(points, [torch.tensor([[4.0, 4, 12, 20]]), torch.zeros(0, 4)])
    assert inside.tolist() == [[True], [False]] and distances[0, 0].tolist() == [4, 4, 4, 12]
    assert empty.shape == (2, 0)
    assert first_inside(torch.tensor([[False, True, True], [False, False, False]])).tolist() == [2, 0]


def test_image_without_objects_beside_one_with_some():
    head = build().train()
    feats = [torch.randn(2, 4, 4, 4), torch.randn(2, 4, 2, 2)]
    metas = [dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3))] * 2
    gts, labels = [torch.tensor([[3.0, 2, 20, 21]]), torch.zeros(0, 4)], [torch.tensor([1]), torch.zeros(0).long()]
    losses = head.forward_train(feats, metas, gts, labels)
    sum(losses.values()).backward()
    assert all(value > 0 for value in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_initial_values_and_points():
    head = build()
    head.init_weights()
    torch.testing.assert_close(head.conv_cls.bias.sigmoid(), torch.full((3,), 0.02))
    assert head.conv_reg.bias.tolist() == [4] * 4
    with pytest.warns(DeprecationWarning):
        old = head.get_points([(2, 2), (1, 1)], torch.float32, 'cpu')
    new = head.prior_generator.grid_priors([(2, 2), (1, 1)], device='cpu')
    assert all(a.equal(b) for a, b in zip(old, new))
