"""Losses of boxes that points predict."""

import torch

from mmdet.core.bbox.coder import DistancePointBBoxCoder
from mmdet.models.dense_heads.functional.points.box_losses import iou_weighted_loss
from mmdet.models.losses import GIoULoss


def test_boxes_count_by_their_ious_and_weights_stay_out_of_the_divisor():
    maps = [torch.full((1, 4, 1, 2), 2.0)]  # boxes of side 4 around two points
    points, wanted = torch.tensor([[4.0, 4.0], [9.0, 9.0]]), torch.tensor([[2.0, 2, 6, 6], [7, 7, 11, 9]])
    rows = (DistancePointBBoxCoder(clip_border=False), torch.tensor([0, 1]), points, wanted)
    loss, ious = iou_weighted_loss(GIoULoss(), maps, *rows, torch.ones(2))
    assert ious.tolist() == [1, 0.5]
    # the first fits; the second loses 0.5, by weight 0.5; divided by 1.5
    torch.testing.assert_close(loss, torch.tensor(0.25 / 1.5))
    weighed, _ = iou_weighted_loss(GIoULoss(), maps, *rows, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(weighed, 3 * loss)
