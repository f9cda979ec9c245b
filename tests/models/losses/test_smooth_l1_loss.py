import torch

from mmdet.models.losses import l1_loss, mse_loss, smooth_l1_loss


def test_l1_family_on_both_sides_of_beta():
    pred, target = torch.tensor([[0.5, -3.0]]), torch.zeros(1, 2)
    assert l1_loss(pred, target, reduction='none').tolist() == [[0.5, 3.0]]
    assert mse_loss(pred, target, reduction='none').tolist() == [[0.25, 9.0]]
    assert smooth_l1_loss(pred, target, beta=2.0, reduction='none').tolist() == [[0.0625, 2.0]]
