"""Losses computed by hand."""

import math

import pytest
import torch

from mmdet.models.builder import build_loss
from mmdet.models.losses import balanced_l1_loss, l1_loss, mse_loss, smooth_l1_loss
from mmdet.models.losses.gfocal_loss import distribution_focal_loss, quality_focal_loss
from mmdet.models.losses.kd_loss import knowledge_distillation_kl_div_loss
from mmdet.models.losses.varifocal_loss import varifocal_loss

LOG2 = math.log(2)


def test_l1_family_on_both_sides_of_beta():
    pred, target = torch.tensor([[0.5, -3.0]]), torch.zeros(1, 2)
    assert l1_loss(pred, target, reduction='none').tolist() == [[0.5, 3.0]]
    assert mse_loss(pred, target, reduction='none').tolist() == [[0.25, 9.0]]
    assert smooth_l1_loss(pred, target, beta=2.0, reduction='none').tolist() == [[0.0625, 2.0]]


def test_balanced_l1_joins_at_beta_with_gradient_gamma():
    b = math.exp(3.0) - 1  # alpha 0.5, gamma 1.5
    pred = torch.tensor([1.0 - 1e-4, 1.0 + 1e-4, 4.0], requires_grad=True)
    loss = balanced_l1_loss(pred, torch.zeros(3), reduction='none')
    assert loss[2].item() == pytest.approx(1.5 * 4 + 1.5 / b - 0.5, rel=1e-5)
    torch.testing.assert_close(loss[0], loss[1], rtol=0, atol=1e-3)
    loss.sum().backward()
    torch.testing.assert_close(pred.grad, torch.full((3,), 1.5), rtol=0, atol=1e-3)


def test_quality_focal_loss_positive_and_background():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])  # 1/2 and 3/4
    loss = quality_focal_loss(logits, (torch.tensor([1, 2]), torch.tensor([0.25, 0.0])), reduction='none')
    negative = 0.5**2 * LOG2
    positive = 0.5**2 * -(0.25 * math.log(0.75) + 0.75 * math.log(0.25))
    torch.testing.assert_close(loss, torch.tensor([negative + positive, negative + 0.75**2 * math.log(4)]))


def test_distribution_focal_loss_splits_between_neighbours():
    logits = torch.tensor([[0.0, math.log(2), 0.0]]).repeat(2, 1)  # 1/4, 1/2, 1/4
    loss = distribution_focal_loss(logits, torch.tensor([0.25, 2.0]), reduction='none')
    torch.testing.assert_close(loss, torch.tensor([0.75 * 2 * LOG2 + 0.25 * LOG2, 2 * LOG2]))


def test_varifocal_loss_quietens_negatives_only():
    logits = torch.tensor([[0.0, 0.0]])
    target = torch.tensor([[0.8, 0.0]])
    weighted = varifocal_loss(logits, target, reduction='none')
    torch.testing.assert_close(weighted, torch.tensor([[0.8 * LOG2, 0.75 * 0.25 * LOG2]]))
    plain = varifocal_loss(logits, target, iou_weighted=False, reduction='none')
    torch.testing.assert_close(plain, torch.tensor([[LOG2, 0.75 * 0.25 * LOG2]]))


def test_gaussian_focal_loss_counts_only_exact_ones_as_positive():
    loss = build_loss(dict(type='GaussianFocalLoss', reduction='none'))
    out = loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(out, torch.tensor([0.25 * LOG2, 0.25 * LOG2 / 16]))


@pytest.mark.parametrize(('naive', 'dice'), [(True, (2 * 1 + 1) / (1.5 + 2 + 1)), (False, 2 / (1.25 + 2 + 2))])
def test_dice_loss(naive, dice):
    loss = build_loss(dict(type='DiceLoss', activate=False, naive_dice=naive, eps=1.0))
    pred, target = torch.tensor([[1.0, 0.5, 0.0]]), torch.tensor([[1, 0, 1]])
    assert loss(pred, target).item() == pytest.approx(1 - dice, rel=1e-5)


def test_kd_loss_is_zero_for_equal_scores_and_scales_with_temperature():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2 * math.log(3)]])
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)  # at T=2 the teacher says 1/4, 3/4
    loss = knowledge_distillation_kl_div_loss(student, teacher, T=2)
    assert loss.item() == pytest.approx(kl / 2 * 4, rel=1e-5)
    assert abs(knowledge_distillation_kl_div_loss(teacher, teacher, T=2).item()) < 1e-6


def test_associative_embedding_pulls_corners_and_pushes_boxes():
    loss = build_loss(dict(type='AssociativeEmbeddingLoss', pull_weight=1.0, push_weight=1.0))
    top_left, bottom_right = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    top_left[0, 0, 0, 1], bottom_right[0, 0, 1, 0] = 1.0, 2.0  # first box: tags 1 and 2, mean 1.5
    top_left[0, 0, 1, 1], bottom_right[0, 0, 1, 1] = 1.0, 1.0  # second: mean 1
    match = [[[[0, 1], [1, 0]], [[1, 1], [1, 1]]]]
    pull, push = loss(top_left, bottom_right, match)
    assert pull.item() == pytest.approx((0.25 + 0.25) / 2, rel=1e-5)
    assert push.item() == pytest.approx(0.5, rel=1e-5)
    assert [float(x) for x in loss(top_left, bottom_right, [[]])] == [0, 0]
    assert float(loss(top_left, bottom_right, [match[0][:1]])[1]) == 0


def test_ghmc_evens_out_the_bins():
    # lengths 0.5, 0.5, 0.5 and 1/4: bins [0.4, 0.6) and [0.2, 0.4), weights 4/3/2 and 4/1/2
    logits = torch.tensor([[0.0], [0.0], [0.0], [math.log(3)]])
    loss = build_loss(dict(type='GHMC', bins=5))
    out = loss(logits, torch.ones(4, 1), torch.ones(4, 1))
    assert out.item() == pytest.approx((2 * LOG2 + 2 * math.log(4 / 3)) / 4, rel=1e-5)


def test_ghmc_momentum_remembers_counts_of_filled_bins():
    loss = build_loss(dict(type='GHMC', bins=2, momentum=0.5))
    loss(torch.full((4, 1), -1.0), torch.ones(4, 1), torch.ones(4, 1))  # lengths above 1/2
    assert loss.acc_sum.tolist() == [0, 2]
    loss(torch.full((4, 1), 1.0), torch.ones(4, 1), torch.tensor([[1.0], [1], [0], [0]]))
    assert loss.acc_sum.tolist() == [1, 2]


def test_ghmr_by_hand():
    # mu 3, differences 4 and 0: sqrt(25) - 3 = 2 and 0, lengths 0.8 and 0 in different bins of one element each
    loss = build_loss(dict(type='GHMR', mu=3.0, bins=10))
    out = loss(torch.tensor([[4.0, 0.0]]), torch.zeros(1, 2), torch.ones(1, 2))
    assert out.item() == pytest.approx((2.0 * 2 / 1 / 2) / 2, rel=1e-5)


def test_seesaw_mitigates_rare_and_compensates_high_wrong_classes():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2, p=1.0, q=0.0, reduction='sum'))
    loss.cum_samples.copy_(torch.tensor([7.0, 2.0, 0.0]))
    logits = torch.zeros(1, 4)
    out = loss(logits, torch.tensor([0]))  # one more of class 0: factor 2/8 for class 1
    assert out['loss_cls_classes'].item() == pytest.approx(math.log(1 + 0.25), rel=1e-5)
    assert out['loss_cls_objectness'].item() == pytest.approx(LOG2, rel=1e-5)
    assert loss.cum_samples.tolist() == [8, 2, 0]
    out = loss(logits, torch.tensor([1]))  # class 0 is the more common one: it pushes back in full
    assert out['loss_cls_classes'].item() == pytest.approx(LOG2, rel=1e-5)
    loss.p, loss.q = 0.0, 2.0
    out = loss(torch.tensor([[0.0, math.log(3), 0, 0]]), torch.tensor([0]))  # 1/4 against 3/4: factor 3**2
    assert out['loss_cls_classes'].item() == pytest.approx(math.log(1 + 3 * 9), rel=1e-5)


def test_seesaw_activation_and_accuracy():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2))
    logits = torch.tensor([[0.0, math.log(3), 0.0, math.log(4)]])
    torch.testing.assert_close(loss.get_activation(logits), torch.tensor([[0.05, 0.15, 0.8]]))
    acc = loss.get_accuracy(logits.repeat(2, 1), torch.tensor([1, 2]))
    assert (acc['acc_classes'].item(), acc['acc_objectness'].item()) == (100, 50)
    assert loss.get_cls_channels(2) == 4
    with pytest.raises(ValueError, match='built for 2 classes, the head has 3'):
        loss.get_cls_channels(3)
