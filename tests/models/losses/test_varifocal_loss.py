import math

import torch

from mmdet.models.losses.varifocal_loss import varifocal_loss

LOG2 = math.log(2)


def test_varifocal_loss_quietens_negatives_only():
    logits = torch.tensor([[0.0, 0.0]])
    target = torch.tensor([[0.8, 0.0]])
    weighted = varifocal_loss(logits, target, reduction='none')
    torch.testing.assert_close(weighted, torch.tensor([[0.8 * LOG2, 0.75 * 0.25 * LOG2]]))
    plain = varifocal_loss(logits, target, iou_weighted=False, reduction='none')
    torch.testing.assert_close(plain, torch.tensor([[LOG2, 0.75 * 0.25 * LOG2]]))
