"""The three forms of cross entropy, with weights and ignored labels."""

import math

import pytest
import torch

from mmdet.models.builder import build_loss
from mmdet.models.losses import binary_cross_entropy, cross_entropy, mask_cross_entropy

LOG2, LOG3 = math.log(2), math.log(3)
LOGITS = torch.tensor([[0.0, LOG3], [0.0, LOG3], [0.0, 0.0]])  # softmax 1/4, 3/4 twice; 1/2, 1/2


def test_softmax_form_with_weights_and_divisor():
    loss = build_loss(dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0], loss_weight=3.0))
    each = loss(LOGITS, torch.tensor([0, 1, 1]), reduction_override='none')
    torch.testing.assert_close(each, 3 * torch.tensor([2 * LOG2, 2 * math.log(4 / 3), 2 * LOG2]))
    weight = torch.tensor([1.0, 0.0, 0.5])
    total = loss(LOGITS, torch.tensor([0, 1, 1]), weight, avg_factor=4)
    assert total.item() == pytest.approx(3 * (2 * LOG2 + LOG2) / 4, rel=1e-5)


@pytest.mark.parametrize(('avg_non_ignore', 'count'), [(False, 3), (True, 2)])
def test_softmax_form_ignores_a_label(avg_non_ignore, count):
    loss = build_loss(dict(type='CrossEntropyLoss', ignore_index=255, avg_non_ignore=avg_non_ignore))
    out = loss(LOGITS, torch.tensor([0, 255, 1]))
    assert out.item() == pytest.approx((2 * LOG2 + LOG2) / count, rel=1e-5)
    torch.testing.assert_close(
        loss(LOGITS, torch.tensor([0, 1, 1]), ignore_index=1).item(), 2 * LOG2 / (3, 1)[avg_non_ignore]
    )


def test_sigmoid_form_expands_classes_and_knows_background():
    each = binary_cross_entropy(LOGITS[:2], torch.tensor([1, 2]), reduction='none')
    hit, wrong = math.log(4 / 3), math.log(4)
    torch.testing.assert_close(each, torch.tensor([[LOG2, hit], [LOG2, wrong]]))
    weighted = binary_cross_entropy(LOGITS[:2], torch.tensor([1, 2]), torch.tensor([2.0, 0.0]), avg_factor=1)
    assert weighted.item() == pytest.approx(2 * (LOG2 + hit), rel=1e-5)


def test_sigmoid_form_with_one_column_has_foreground_zero():
    logits = torch.tensor([[LOG3], [LOG3]])
    each = binary_cross_entropy(logits, torch.tensor([0, 1]), reduction='none')
    torch.testing.assert_close(each, torch.tensor([[math.log(4 / 3)], [math.log(4)]]))


@pytest.mark.parametrize('labels', [torch.tensor([1, 255, -1]), torch.tensor([[0, 1], [255, 255], [-1, -1]])])
def test_sigmoid_form_ignores_rows(labels):
    each = binary_cross_entropy(LOGITS, labels, reduction='none', ignore_index=255)
    torch.testing.assert_close(each, torch.tensor([[LOG2, math.log(4 / 3)], [0, 0], [0, 0]]))
    mean = binary_cross_entropy(LOGITS, labels, ignore_index=255, avg_non_ignore=True)
    torch.testing.assert_close(mean, each.sum() / 2)


def test_sigmoid_form_class_weight_acts_on_positives():
    loss = build_loss(dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[1.0, 3.0], reduction='none'))
    torch.testing.assert_close(loss(LOGITS[:1], torch.tensor([1])), torch.tensor([[LOG2, 3 * math.log(4 / 3)]]))
    torch.testing.assert_close(loss(LOGITS[:1], torch.tensor([2])), torch.tensor([[LOG2, math.log(4)]]))


def test_mask_form_compares_the_mask_of_the_right_class():
    pred = torch.full((2, 3, 2, 2), 100.0)
    pred[0, 1] = 0.0
    pred[1, 2] = LOG3
    loss = build_loss(dict(type='CrossEntropyLoss', use_mask=True, loss_weight=2.0))
    out = loss(pred, torch.ones(2, 2, 2), torch.tensor([1, 2]))
    torch.testing.assert_close(out, 2 * torch.tensor([(LOG2 + math.log(4 / 3)) / 2]))


def test_mask_form_without_masks_is_zero_on_the_graph():
    pred = torch.zeros(0, 3, 2, 2, requires_grad=True)
    out = mask_cross_entropy(pred, torch.zeros(0, 2, 2), torch.zeros(0, dtype=torch.long))
    out.sum().backward()
    assert out.tolist() == [0] and pred.grad is not None


@pytest.mark.parametrize('func', [cross_entropy, binary_cross_entropy])
def test_ignored_only_is_a_finite_zero(func):
    logits = torch.randn(3, 2, requires_grad=True)
    out = func(logits, torch.full((3,), 255), ignore_index=255, avg_non_ignore=True)
    out.backward()
    assert out == 0 and not logits.grad.any()


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match='choose one'):
        build_loss(dict(type='CrossEntropyLoss', use_sigmoid=True, use_mask=True))
    with pytest.raises(ValueError, match="cannot be used with reduction='sum'"):
        cross_entropy(LOGITS, torch.tensor([0, 1, 1]), reduction='sum', avg_factor=2)
    with pytest.raises(ValueError, match="reduction must be one of.*'avg'"):
        build_loss(dict(type='CrossEntropyLoss', reduction='avg'))
    with pytest.raises(ValueError, match='only the plain mean'):
        mask_cross_entropy(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2), torch.tensor([0]), avg_factor=3)
