import math

import pytest
import torch

from mmdet.models.losses import balanced_l1_loss


def test_balanced_l1_joins_at_beta_with_gradient_gamma():
    b = math.exp(3.0) - 1  # alpha 0.5, gamma 1.5
    pred = torch.tensor([1.0 - 1e-4, 1.0 + 1e-4, 4.0], requires_grad=True)
    loss = balanced_l1_loss(pred, torch.zeros(3), reduction='none')
    assert loss[2].item() == pytest.approx(1.5 * 4 + 1.5 / b - 0.5, rel=1e-5)
    torch.testing.assert_close(loss[0], loss[1], rtol=0, atol=1e-3)
    loss.sum().backward()
    torch.testing.assert_close(pred.grad, torch.full((3,), 1.5), rtol=0, atol=1e-3)
