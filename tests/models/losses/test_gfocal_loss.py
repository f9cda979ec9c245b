import math

import torch

from mmdet.models.losses.gfocal_loss import distribution_focal_loss, quality_focal_loss

LOG2 = math.log(2)


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
