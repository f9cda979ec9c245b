"""Focal loss of classes, of indicators and of probabilities: one function in three guises."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdet.models.builder import build_loss
from mmdet.models.losses.focal_loss import fit_weight, py_focal_loss_with_prob, py_sigmoid_focal_loss


@pytest.mark.parametrize('gamma', [0.5, 2.0])
def test_classes_indicators_and_probabilities_agree(gamma):
    torch.manual_seed(0)
    logits, classes = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, -1])
    indicators = F.one_hot(classes.clamp(min=0), 4)[:, :3] * (classes >= 0)[:, None]
    options = dict(gamma=gamma, alpha=0.3, reduction='none')
    want = py_sigmoid_focal_loss(logits, classes, **options)
    torch.testing.assert_close(py_sigmoid_focal_loss(logits, indicators, **options), want)
    torch.testing.assert_close(py_focal_loss_with_prob(logits.sigmoid(), classes, **options), want)
    torch.testing.assert_close(py_focal_loss_with_prob(logits.sigmoid(), indicators, **options), want)


def test_gamma_zero_is_weighted_cross_entropy_of_soft_targets():
    logits, target = torch.randn(4, 3), torch.rand(4, 3)
    want = F.binary_cross_entropy_with_logits(logits, target, reduction='none') * (0.3 * target + 0.7 * (1 - target))
    torch.testing.assert_close(py_sigmoid_focal_loss(logits, target, gamma=0.0, alpha=0.3, reduction='none'), want)


@pytest.mark.parametrize('target', [torch.tensor([0, 0]), torch.tensor([[1.0, 0], [1, 0]])])
def test_extreme_logits_stay_finite(target):
    logits = torch.tensor([[500.0, -500.0], [-500.0, 500.0]], requires_grad=True)
    loss = py_sigmoid_focal_loss(logits, target, gamma=0.5, reduction='none')
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()
    torch.testing.assert_close(loss, torch.tensor([[0.0, 0], [125, 375]]))


def test_easy_examples_keep_their_small_losses():
    logits = torch.tensor([[20.0, -20.0]])
    by_class = py_sigmoid_focal_loss(logits, torch.tensor([0]), gamma=1.0, alpha=0.5, reduction='none')
    by_indicator = py_sigmoid_focal_loss(logits, torch.tensor([[1.0, 0.0]]), gamma=1.0, alpha=0.5, reduction='none')
    want = torch.full((1, 2), 0.5 * math.exp(-40))
    torch.testing.assert_close(by_class, want, rtol=1e-4, atol=0)
    torch.testing.assert_close(by_indicator[:, 0], want[:, 0], rtol=1e-4, atol=0)  # of the positive


def test_weights_of_samples_or_elements():
    loss = torch.ones(2, 3)
    assert fit_weight(torch.tensor([1.0, 2.0]), loss).shape == (2, 1)
    assert fit_weight(torch.arange(6.0), loss).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match=r'weights \(3,\) fit neither'):
        fit_weight(torch.ones(3), loss)
    with pytest.raises(ValueError, match='only use_sigmoid=True'):
        build_loss(dict(type='FocalLoss', use_sigmoid=False))
