from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_head
from mmdet.models.roi_heads.mask_heads.maskiou_head import areas_in_boxes

CFG = SimpleNamespace(mask_thr_binary=0.5)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return build_head(
        dict(type='MaskIoUHead', num_convs=2, num_fcs=1, roi_feat_size=4, in_channels=3, conv_out_channels=2,
             fc_out_channels=5, num_classes=3)
    )  # fmt: skip


def positives(boxes, inds):
    return SimpleNamespace(
        pos_bboxes=torch.tensor(boxes).reshape(-1, 4), pos_assigned_gt_inds=torch.tensor(inds).long()
    )


def left_half(height=8, width=8):
    mask = np.zeros((1, height, width), dtype=np.uint8)
    mask[:, :, : width // 2] = 1
    return mask


def test_areas_in_boxes_equal_those_of_cropped_masks():
    rng = np.random.default_rng(0)
    masks = BitmapMasks((rng.random((3, 9, 12)) > 0.5).astype(np.uint8), 9, 12)
    boxes = torch.tensor([[0.0, 0, 12, 9], [2.7, 3.2, 7.9, 8.8], [-5, -5, 3, 4], [5, 5, 5.5, 5.5], [10, 8, 40, 40]])
    rows = torch.tensor([0, 2, 1, 1, 0])
    wanted = [masks[int(row)].crop(box.numpy()).areas[0] for row, box in zip(rows, boxes)]
    assert areas_in_boxes(masks.to_tensor(torch.bool, 'cpu'), rows, boxes).tolist() == wanted


def test_target_is_the_iou_with_the_whole_object(head):
    """The box holds half of the object (32 px); of its 4x4 target the upper half, 8 cells of 16, was predicted."""
    res = positives([[0.0, 0, 4, 4]], [0])
    logits = torch.full((1, 4, 4), -9.0)
    logits[:, :2] = 9
    target = head.get_targets([res], [BitmapMasks(left_half(), 8, 8)], logits, torch.ones(1, 4, 4), CFG)
    torch.testing.assert_close(target, torch.tensor([8 / 32]))


def test_targets_join_images_and_bear_those_without_positives(head):
    masks = [BitmapMasks(np.zeros((0, 8, 8), dtype=np.uint8), 8, 8), BitmapMasks(left_half(), 8, 8)]
    results = [positives([], []), positives([[0.0, 0, 8, 8], [5, 0, 8, 8]], [0, 0])]
    cells = torch.zeros(2, 4, 4)
    cells[0, :, :2] = 1
    targets = head.get_targets(results, masks, cells * 9, cells, CFG)
    torch.testing.assert_close(targets, torch.tensor([1.0, 0]))  # nothing predicted where nothing is: judged 0


def test_loss_leaves_out_targets_of_zero(head):
    pred = torch.tensor([0.5, 0.9, 0.1], requires_grad=True)
    loss = head.loss(pred, torch.tensor([0.7, 0.0, 0.1]))['loss_mask_iou']
    torch.testing.assert_close(loss, torch.tensor(0.5 * 0.2**2 / 2))
    nothing = head.loss(pred, torch.zeros(3))['loss_mask_iou']
    nothing.backward()
    assert nothing == 0 and pred.grad.tolist() == [0, 0, 0]


def test_mask_scores_are_iou_times_score_by_class(head):
    dets = torch.tensor([[0.0, 0, 1, 1, 0.5], [0, 0, 1, 1, 0.8], [0, 0, 1, 1, 1.0]])
    ious = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
    scores = head.get_mask_scores(ious, dets, torch.tensor([2, 0, 2]))
    assert [np.round(s, 6).tolist() for s in scores] == [pytest.approx([0.32]), [], pytest.approx([0.15, 0.9])]


def test_forward_of_no_roi(head):
    assert head(torch.zeros(0, 3, 4, 4), torch.zeros(0, 8, 8)).shape == (0, 3)
    assert head(torch.zeros(2, 3, 4, 4), torch.zeros(2, 8, 8)).shape == (2, 3)
