import math

import pytest
import torch

from mmdet.models.builder import build_loss
from mmdet.models.losses import balanced_l1_loss


def test_balanced_l1_joins_at_beta_with_gradient_gamma():
    b = math.exp(3.0) - 1  # alpha 0.5, gamma 1.5
    pred = torch.tensor([1.0 - 1e-4, 1.0 + 1e-4, 4.0], requires_grad=True)
    loss = balanced_l1_loss(pred, torch.zeros(3), reduction='none')
    assert loss[2].item() == pytest.approx(1.5 * 4 + 1.5 / b - 0.5, rel=1e-5)
    torch.testing.assert_close(loss[0], loss[1], rtol=0, atol=1e-3)
    loss.sum().backward()
    torch.testing.assert_close(pred.grad, torch.full((3,), 1.5), rtol=0, atol=1e-3)


def test_balanced_l1_with_another_beta_by_hand():
    b = math.exp(3.0) - 1
    loss = balanced_l1_loss(torch.tensor([1.0, -4.0]), torch.zeros(2), beta=2.0, reduction='none')
    near = 0.5 / b * (b + 1) * math.log(b / 2 + 1) - 0.5
    assert loss.tolist() == [pytest.approx(near, rel=1e-5), pytest.approx(1.5 * 4 + 1.5 / b - 0.5 * 2, rel=1e-5)]
    with pytest.raises(ValueError, match='beta must be positive, got 0'):
        balanced_l1_loss(torch.zeros(1), torch.zeros(1), beta=0)


def test_module_has_the_numbers_of_the_paper():
    given = (torch.tensor([0.25, 3.0]), torch.zeros(2))
    assert build_loss(dict(type='BalancedL1Loss'))(*given).item() == balanced_l1_loss(*given).item()
