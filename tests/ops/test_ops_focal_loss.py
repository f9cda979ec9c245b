"""Focal loss on logits: by hand, by gradcheck, and at extreme logits."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from mmdet.ops import sigmoid_focal_loss, softmax_focal_loss


def test_sigmoid_focal_loss_by_hand():
    logits = torch.tensor([[0.0, math.log(3)]])  # probabilities 1/2 and 3/4
    loss = sigmoid_focal_loss(logits, torch.tensor([1]), gamma=2.0, alpha=0.25, reduction='none')
    expected = [0.75 * 0.5**2 * math.log(2), 0.25 * 0.25**2 * math.log(4 / 3)]
    torch.testing.assert_close(loss, torch.tensor([expected]))
    background = sigmoid_focal_loss(logits, torch.tensor([2]), reduction='none')
    assert background[0, 1].item() == pytest.approx(0.75 * 0.75**2 * math.log(4), rel=1e-5)


def test_softmax_focal_loss_by_hand():
    logits = torch.tensor([[0.0, math.log(3)], [5.0, 5.0]])
    loss = softmax_focal_loss(logits, torch.tensor([1, -1]), gamma=2.0, alpha=0.5, reduction='none')
    torch.testing.assert_close(loss, torch.tensor([0.5 * 0.25**2 * math.log(4 / 3), 0.0]))
    weighted = softmax_focal_loss(logits, torch.tensor([1, -1]), 2.0, 0.5, torch.tensor([1.0, 3.0]), 'sum')
    torch.testing.assert_close(weighted, 3 * loss.sum())


@pytest.mark.parametrize('loss', [sigmoid_focal_loss, softmax_focal_loss])
@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_gradients(loss, gamma):
    torch.manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    target = torch.tensor([0, 1, 2, 2])
    assert gradcheck(lambda x: loss(x, target, gamma, 0.3, reduction='none'), logits)


@pytest.mark.parametrize('loss', [sigmoid_focal_loss, softmax_focal_loss])
@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_extreme_logits_stay_finite(loss, gamma):
    logits = torch.tensor([[500.0, -500.0], [-500.0, 500.0]], requires_grad=True)
    out = loss(logits, torch.tensor([0, 0]), gamma, 0.25, reduction='none')
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(logits.grad).all()


def test_no_rows_and_unknown_reduction():
    logits = torch.zeros(0, 3, requires_grad=True)
    total = sigmoid_focal_loss(logits, torch.zeros(0, dtype=torch.long), reduction='sum')
    total.backward()
    assert total == 0 and logits.grad.shape == (0, 3)
    with pytest.raises(ValueError, match="reduction must be one of.*'max'"):
        sigmoid_focal_loss(logits, torch.zeros(0, dtype=torch.long), reduction='max')
