import pytest
import torch

from mmdet.models.builder import build_loss
from mmdet.models.losses import l1_loss, mse_loss, smooth_l1_loss


def test_l1_family_on_both_sides_of_beta():
    pred, target = torch.tensor([[0.5, -3.0]]), torch.zeros(1, 2)
    assert l1_loss(pred, target, reduction='none').tolist() == [[0.5, 3.0]]
    assert mse_loss(pred, target, reduction='none').tolist() == [[0.25, 9.0]]
    assert smooth_l1_loss(pred, target, beta=2.0, reduction='none').tolist() == [[0.0625, 2.0]]


def test_modules_by_hand():
    pred, target = torch.tensor([[0.5, -3.0]]), torch.zeros(1, 2)
    smooth = build_loss(dict(type='SmoothL1Loss'))  # beta 1: 0.5 ** 2 / 2 and 3 - 1 / 2
    assert smooth(pred, target).item() == pytest.approx((0.125 + 2.5) / 2)
    assert build_loss(dict(type='SmoothL1Loss', beta=2.0, loss_weight=3.0))(pred, target).item() == 3 * 2.0625 / 2
    l1 = build_loss(dict(type='L1Loss'))
    assert l1(pred, target, torch.tensor([[2.0, 1]]), avg_factor=8).item() == (1 + 3) / 8


def test_beta_must_be_positive():
    with pytest.raises(ValueError, match='beta must be positive, got 0; use l1_loss'):
        smooth_l1_loss(torch.zeros(1), torch.zeros(1), beta=0)
