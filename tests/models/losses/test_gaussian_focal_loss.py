import math

import torch

from mmdet.models.builder import build_loss

LOG2 = math.log(2)


def test_gaussian_focal_loss_counts_only_exact_ones_as_positive():
    loss = build_loss(dict(type='GaussianFocalLoss', reduction='none'))
    out = loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(out, torch.tensor([0.25 * LOG2, 0.25 * LOG2 / 16]))
