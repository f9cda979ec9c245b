"""Rotated boxes: by hand, against OpenCV's one pair at a time, and suppression against a plain loop."""

import math

import cv2
import pytest
import torch
from torch.autograd import gradcheck

from mmdet.ops import batched_nms, box_iou_rotated, nms_rotated
from mmdet.ops.rotated import diff_iou_rotated_2d, rotated_corners

BOX = torch.tensor([[0.0, 0, 4, 2, 0]])


def random_boxes(n: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, 5, generator=rng) * torch.tensor([50, 50, 40, 30, 6.0]) + torch.tensor([0, 0, 5, 5, -3.0])


def overlap_of_opencv(first, second) -> float:
    a, b = (((x, y), (w, h), math.degrees(angle)) for x, y, w, h, angle in (first.tolist(), second.tolist()))
    _, corners = cv2.rotatedRectangleIntersection(a, b)
    common = 0 if corners is None else cv2.contourArea(cv2.convexHull(corners))
    return common / (a[1][0] * a[1][1] + b[1][0] * b[1][1] - common)


@pytest.mark.parametrize(
    ('other', 'iou'),
    [
        ((0, 0, 4, 2, 0), 1),
        ((0, 0, 2, 4, math.pi / 2), 1),  # the same box, told the other way
        ((0, 0, 4, 2, math.pi), 1),
        ((2, 1, 4, 2, 0), 1 / 7),  # a quarter of each in common: 2 of 14
        # a square on its corner; above and below, triangles of height sqrt(2) - 1 stick out
        ((0, 0, 2, 2, math.pi / 4), (4 - 2 * (math.sqrt(2) - 1) ** 2) / (8 + 2 * (math.sqrt(2) - 1) ** 2)),
        ((4, 0, 4, 2, 0), 0),  # side by side
        ((1, 0, 0, 2, 0), 0),  # no area
    ],
)
def test_iou_by_hand(other, iou):
    other = torch.tensor([other], dtype=torch.float)
    assert box_iou_rotated(BOX, other).item() == pytest.approx(iou, abs=1e-5)
    assert box_iou_rotated(other, BOX, aligned=True).item() == pytest.approx(iou, abs=1e-5)


def test_iou_is_that_of_opencv():
    first, second = random_boxes(30), random_boxes(40, seed=1)
    expected = torch.tensor([[overlap_of_opencv(a, b) for b in second] for a in first])
    assert (expected > 0).float().mean() > 0.3
    torch.testing.assert_close(box_iou_rotated(first, second), expected, rtol=0, atol=1e-3)


def test_intersection_over_the_first_and_angles_the_other_way():
    half = torch.tensor([[1.0, 0, 2, 2, 0]])
    assert box_iou_rotated(half, BOX, mode='iof').item() == pytest.approx(1)
    assert box_iou_rotated(BOX, half, mode='iof').item() == pytest.approx(0.5)
    corner = rotated_corners(torch.tensor([0.0, 0, 4, 2, math.pi / 6]))[0]
    assert corner.tolist() == pytest.approx([-2 * math.cos(math.pi / 6) + 0.5, -1 - math.cos(math.pi / 6)])
    first, second = random_boxes(5), random_boxes(5, seed=1)
    mirrored = [boxes * torch.tensor([1, 1, 1, 1, -1.0]) for boxes in (first, second)]
    torch.testing.assert_close(box_iou_rotated(first, second, clockwise=False), box_iou_rotated(*mirrored))


def test_far_from_the_origin_nothing_is_lost():
    away = torch.tensor([5e3, 7e3, 0, 0, 0])
    assert box_iou_rotated(BOX + away, torch.tensor([[2.0, 1, 4, 2, 0]]) + away).item() == pytest.approx(
        1 / 7, abs=1e-5
    )


def test_gradients():
    torch.manual_seed(0)
    first, second = ((torch.rand(6, 5, dtype=torch.double) * 5 + 1).requires_grad_() for _ in range(2))
    assert gradcheck(lambda a, b: box_iou_rotated(a, b, aligned=True), (first, second))
    iou = diff_iou_rotated_2d(first[None], second[None])
    torch.testing.assert_close(iou, box_iou_rotated(first, second, aligned=True)[None])


def plain_nms(boxes, scores, iou_threshold, labels):
    ious = box_iou_rotated(boxes, boxes) * (labels[:, None] == labels)
    kept = []
    for i in scores.argsort(descending=True).tolist():
        if all(ious[j, i] <= iou_threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize('iou_threshold', [0.05, 0.3, 0.7])
def test_suppression_is_that_of_a_loop(iou_threshold, monkeypatch):
    monkeypatch.setattr('mmdet.ops.rotated.ROWS_AT_ONCE', 64)  # several blocks
    monkeypatch.setattr('mmdet.ops.polygon.PAIRS_AT_ONCE', 500)
    boxes, rng = random_boxes(150), torch.Generator().manual_seed(2)
    scores, labels = torch.rand(150, generator=rng), torch.randint(0, 3, (150,), generator=rng)
    for groups in (None, labels):
        dets, kept = nms_rotated(boxes, scores, iou_threshold, groups)
        expected = plain_nms(boxes, scores, iou_threshold, torch.zeros(150) if groups is None else groups)
        assert kept.tolist() == expected and 1 < len(kept) < 150
        assert torch.equal(dets, torch.cat([boxes, scores[:, None]], 1)[kept])
    dets, kept = batched_nms(boxes, scores, labels, dict(type='nms_rotated', iou_threshold=iou_threshold))
    assert kept.tolist() == expected and dets.shape == (len(expected), 6)


def test_no_boxes_and_wrong_shapes():
    none = torch.zeros(0, 5)
    assert box_iou_rotated(none, BOX).shape == (0, 1) and box_iou_rotated(BOX, none).shape == (1, 0)
    dets, kept = nms_rotated(none, torch.zeros(0), 0.5)
    assert dets.shape == (0, 6) and kept.shape == (0,)
    with pytest.raises(ValueError, match=r'box_iou_rotated: expected boxes \(n, 5\).*got \(1, 4\)'):
        box_iou_rotated(BOX[:, :4], BOX)
    with pytest.raises(ValueError, match="mode must be one of.*'giou'"):
        box_iou_rotated(BOX, BOX, mode='giou')
    with pytest.raises(ValueError, match='aligned boxes must be equally many, got 1 and 2'):
        box_iou_rotated(BOX, BOX.repeat(2, 1), aligned=True)
    with pytest.raises(ValueError, match=r'nms_rotated: expected scores \(1,\), got \(2,\)'):
        nms_rotated(BOX, torch.zeros(2), 0.5)
