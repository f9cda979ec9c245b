import pytest
import torch

from mmdet.models.builder import build_loss


@pytest.mark.parametrize(('naive', 'dice'), [(True, (2 * 1 + 1) / (1.5 + 2 + 1)), (False, 2 / (1.25 + 2 + 2))])
def test_dice_loss(naive, dice):
    loss = build_loss(dict(type='DiceLoss', activate=False, naive_dice=naive, eps=1.0))
    pred, target = torch.tensor([[1.0, 0.5, 0.0]]), torch.tensor([[1, 0, 1]])
    assert loss(pred, target).item() == pytest.approx(1 - dice, rel=1e-5)
