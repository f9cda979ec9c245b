from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_head


def point_head(**kwargs):
    torch.manual_seed(0)
    return build_head(dict(type='MaskPointHead', num_classes=3, num_fcs=2, in_channels=4, fc_channels=5, **kwargs))


@pytest.mark.parametrize('each, width', [(True, 8), (False, 5)])
def test_layers_see_the_coarse_prediction(each, width):
    head = point_head(coarse_pred_each_layer=each)
    assert [fc.conv.in_channels for fc in head.fcs] + [head.fc_logits.in_channels] == [7, width, width]
    assert head(torch.randn(2, 4, 6), torch.randn(2, 3, 6)).shape == (2, 3, 6)


def test_every_point_is_classified_by_itself():
    head, fine, coarse = point_head(), torch.randn(2, 4, 6), torch.randn(2, 3, 6)
    torch.testing.assert_close(head(fine, coarse)[..., 2:3], head(fine[..., 2:3], coarse[..., 2:3]))


def test_targets_are_read_from_the_assigned_masks_image_by_image():
    masks = np.zeros((2, 8, 8), dtype=np.uint8)
    masks[1, :, 4:] = 1
    sampled = [
        SimpleNamespace(pos_bboxes=torch.zeros(0, 4), pos_assigned_gt_inds=torch.zeros(0).long()),
        SimpleNamespace(pos_bboxes=torch.zeros(2, 4), pos_assigned_gt_inds=torch.tensor([1, 0])),
    ]
    rois = torch.tensor([[1.0, 0, 0, 8, 8], [1, 0, 0, 8, 8]])
    points = torch.tensor([[0.1, 0.5], [0.5, 0.5], [0.9, 0.5]]).expand(2, 3, 2)
    targets = point_head().get_targets(
        rois, points, sampled, [BitmapMasks(masks[:0], 8, 8), BitmapMasks(masks, 8, 8)], {}
    )
    torch.testing.assert_close(targets, torch.tensor([[0, 0.5, 1], [0, 0, 0]]))


def test_test_points_are_the_cells_of_least_certainty():
    logits = torch.tensor([[9.0, -1, 9], [2, 9, -9]])[None, None]
    cfg = SimpleNamespace(subdivision_num_points=2)
    inds, points = point_head().get_roi_rel_points_test(logits, torch.tensor([0]), cfg)
    assert inds.tolist() == [[1, 3]]
    torch.testing.assert_close(points, torch.tensor([[[0.5, 0.25], [1 / 6, 0.75]]]))
    cfg.subdivision_num_points = 100  # more than there are
    assert sorted(point_head().get_roi_rel_points_test(logits, torch.tensor([0]), cfg)[0][0].tolist()) == list(range(6))


def test_point_loss_looks_at_the_class_of_each_roi():
    logits = torch.full((2, 3, 4), 50.0, requires_grad=True)
    wanted = torch.ones(2, 4)
    with torch.no_grad():
        logits[0, 1] = 0
    loss = point_head().loss(logits, wanted, torch.tensor([1, 2]))['loss_point']
    torch.testing.assert_close(loss.squeeze(), torch.tensor(2.0).log() / 2)


def test_point_loss_of_no_roi_is_an_attached_zero():
    logits = torch.zeros(0, 3, 4, requires_grad=True)
    loss = point_head().loss(logits, torch.zeros(0, 4), torch.zeros(0).long())['loss_point']
    loss.backward()
    assert loss == 0
