"""Overlap losses of pairs of boxes."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from mmdet.models.builder import build_loss
from mmdet.models.losses import bounded_iou_loss
from mmdet.models.losses.iou_loss import aligned_ciou, aligned_diou, aligned_giou, aligned_iou

# 2 x 2 at the origin against 2 x 4 shifted by (1, 0): intersection 2, union 10, hull 3 x 4, centres 1 and 1 apart
PRED, TARGET = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 4]])
IOU, DISTANCE = 0.2, (1 + 1) / (9 + 16)


def test_overlaps_by_hand():
    assert aligned_iou(PRED, TARGET).item() == pytest.approx(IOU, rel=1e-5)
    assert aligned_giou(PRED, TARGET).item() == pytest.approx(IOU - 2 / 12, rel=1e-5)
    assert aligned_diou(PRED, TARGET).item() == pytest.approx(IOU - DISTANCE, rel=1e-5)
    torch.testing.assert_close(aligned_ciou(PRED, TARGET).item(), IOU - DISTANCE)  # the shape counts from IoU 0.5


def test_ciou_adds_the_shape_of_well_placed_boxes():
    pred, target = torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[0.0, 0, 4, 3]])
    shape = 4 / math.pi**2 * (math.atan(4 / 3) - math.atan(1)) ** 2
    expected = 0.75 - 0.25 / 32 - shape**2 / (1 - 0.75 + shape)
    assert aligned_ciou(pred, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(('mode', 'value'), [('log', -math.log(IOU)), ('linear', 1 - IOU), ('square', 1 - IOU**2)])
def test_iou_loss_modes(mode, value):
    assert build_loss(dict(type='IoULoss', mode=mode))(PRED, TARGET).item() == pytest.approx(value, rel=1e-5)


def test_bounded_iou_loss_by_hand():
    # centre x: 1 - (2 - 2) / (2 + 2), y: 1 - (4 - 2) / (4 + 2); width equal, height 1 - 2 / 4; then smooth L1
    loss = bounded_iou_loss(PRED, TARGET, beta=0.2, eps=0.0, reduction='none')
    torch.testing.assert_close(loss, torch.tensor([[0.9, 2 / 3 - 0.1, 0.0, 0.4]]))


@pytest.mark.parametrize('name', ['IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss', 'BoundedIoULoss'])
def test_equal_boxes_have_no_loss_and_a_finite_gradient(name):
    boxes = torch.tensor([[3.0, 4, 700, 900], [0, 0, 1, 1], [5, 5, 5, 5]])
    pred = boxes.clone().requires_grad_()
    loss = build_loss(dict(type=name, reduction='none'))(pred, boxes)
    torch.testing.assert_close(loss[:2], torch.zeros_like(loss[:2]), rtol=0, atol=2e-3)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(pred.grad).all()


@pytest.mark.parametrize('name', ['IoULoss', 'GIoULoss', 'DIoULoss', 'BoundedIoULoss'])
def test_gradients(name):
    pred = torch.tensor([[0.0, 0, 2, 2], [1.5, 1, 6, 5.2]], dtype=torch.double, requires_grad=True)
    target = torch.tensor([[1.1, 0.2, 3, 4], [1.2, 0.9, 6.3, 5]], dtype=torch.double)
    assert gradcheck(lambda x: build_loss(dict(type=name, reduction='none'))(x, target), pred)


@pytest.mark.parametrize('name', ['IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss'])
def test_weights_of_coordinates_are_averaged(name):
    loss = build_loss(dict(type=name))
    pred, target = PRED.repeat(2, 1), TARGET.repeat(2, 1)
    per_coordinate = loss(pred, target, torch.tensor([[1.0, 1, 1, 1], [0, 0, 2, 2]]), avg_factor=5)
    torch.testing.assert_close(per_coordinate, loss(pred, target, torch.ones(2), avg_factor=5))


@pytest.mark.parametrize('name', ['IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss', 'BoundedIoULoss'])
@pytest.mark.parametrize('n', [0, 3])
def test_zero_weights_and_no_boxes_give_zero_on_the_graph(name, n):
    pred = torch.rand(n, 4, requires_grad=True)
    out = build_loss(dict(type=name))(pred, torch.rand(n, 4), torch.zeros(n, 4), avg_factor=0)
    out.backward()
    assert out == 0 and torch.equal(pred.grad, torch.zeros(n, 4))


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match="mode must be one of.*'cubic'"):
        build_loss(dict(type='IoULoss', mode='cubic'))
    with pytest.raises(ValueError, match='differ in shape'):
        build_loss(dict(type='GIoULoss'))(PRED, TARGET.repeat(2, 1))
    with pytest.warns(DeprecationWarning, match="use mode='linear'"):
        assert build_loss(dict(type='IoULoss', linear=True)).mode == 'linear'


@pytest.mark.parametrize('name', ['IoULoss', 'BoundedIoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss'])
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_weights_of_rows_are_weights_of_all_their_coordinates(name, reduction):
    torch.manual_seed(0)
    low = torch.rand(5, 2)
    pred = torch.cat([low, low + 1 + torch.rand(5, 2)], 1)
    target = torch.cat([low + 0.1, low + 1.5], 1)
    loss, rows = build_loss(dict(type=name)), torch.tensor([0.0, 1, 2, 0, 3])
    by_row = loss(pred, target, rows, reduction_override=reduction)
    assert torch.allclose(by_row, loss(pred, target, rows[:, None].expand(5, 4), reduction_override=reduction))
    assert loss(pred, target, torch.zeros(5), reduction_override=reduction).sum() == 0
    if reduction == 'mean':
        whole = loss(pred, target, rows, reduction_override='none').sum()
        assert torch.allclose(loss(pred, target, rows, avg_factor=4), whole / 4)
