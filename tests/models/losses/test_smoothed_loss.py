"""Smoothed labels: distributions, the loss functions, weights and ignored labels."""

import math

import pytest
import torch
from torch import nn

from mmdet.models.builder import build_loss
from mmdet.models.losses.smoothed_loss import smooth_labels


def build(**kwargs) -> nn.Module:
    return build_loss(dict(type='SmoothedLoss', **kwargs))


def test_smooth_labels_and_their_transform():
    labels = torch.tensor([2, 0])
    soft = smooth_labels(labels, 3, 0.2)
    torch.testing.assert_close(soft, torch.tensor([[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]))
    swap = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    torch.testing.assert_close(smooth_labels(labels, 3, 0.2, swap), soft[:, [1, 0, 2]])


def test_each_loss_function_by_hand():
    logits = torch.tensor([[0.0, math.log(3)]])  # softmax 1/4, 3/4; sigmoids 1/2, 3/4
    label = torch.tensor([1])
    log4, log43 = math.log(4), math.log(4 / 3)
    assert build(smoothing=0.2)(logits, label).item() == pytest.approx(0.2 * log4 + 0.8 * log43, rel=1e-5)
    sigmoids = (math.log(2) + 0.8 * log43 + 0.2 * log4) / 2
    for name in ('MultiLabelSoftMarginLoss', 'BCEWithLogitsLoss'):
        assert build(smoothing=0.2, loss_func=name)(logits, label).item() == pytest.approx(sigmoids, rel=1e-5)


def test_agrees_with_torch_label_smoothing():
    logits, label = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    # torch spreads its share over all classes, the right one too
    want = nn.CrossEntropyLoss(label_smoothing=0.4)(logits, label)
    torch.testing.assert_close(build(smoothing=0.3)(logits, label), want)


def test_weighting_sample_is_linear_and_batch_is_not_per_sample():
    logits, label = torch.tensor([[0.0, 5.0], [0.0, 0.0]]), torch.tensor([0, 1])
    each = build(reduction='none')(logits, label)
    weight = torch.tensor([1.0, 3.0])
    sample = build(weighting='sample')
    torch.testing.assert_close(sample(logits, label, weight), (each * weight).mean())
    torch.testing.assert_close(sample(logits, label, weight, avg_factor=5), (each * weight).sum() / 5)
    batch = build()
    torch.testing.assert_close(batch(logits, label, weight), each.mean() * weight.mean())
    torch.testing.assert_close(batch(logits, label, weight, avg_factor=5), each.mean() * weight.sum() / 5)
    torch.testing.assert_close(batch(logits, label, weight, reduction_override='none'), each * weight)


def test_ignored_labels_and_class_weights():
    logits, label = torch.randn(3, 2), torch.tensor([1, 255, 0])
    each = build(reduction='none', ignore_index=255)(logits, label)
    torch.testing.assert_close(each[[0, 2]], build(reduction='none')(logits[[0, 2]], label[[0, 2]]))
    assert each[1] == 0
    weighted = build(smoothing=0.0, class_weight=[1.0, 2.0], reduction='none')(logits[[0, 2]], label[[0, 2]])
    want = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0]), reduction='none')(logits[[0, 2]], label[[0, 2]])
    torch.testing.assert_close(weighted, want)


def test_transform_and_class_weight_are_not_in_checkpoints():
    assert not build(smoothing_transform=[[0.0, 1], [1, 0]], class_weight=[1.0, 2.0]).state_dict()


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match="loss_func must be one of.*'kl_div'"):
        build(loss_func='kl_div')
    with pytest.raises(ValueError, match='must be False'):
        build(use_sigmoid=True)
    with pytest.raises(ValueError, match="weighting must be one of.*'image'"):
        build(weighting='image')
    with pytest.raises(ValueError, match=r'square matrix, got \(1, 2\)'):
        build(smoothing_transform=[[0.0, 1.0]])


def test_a_tenth_is_smoothed_unless_told_otherwise():
    logits, label = torch.tensor([[0.0, math.log(3)]]), torch.tensor([1])
    assert build()(logits, label).item() == pytest.approx(0.1 * math.log(4) + 0.9 * math.log(4 / 3), rel=1e-5)


def test_the_loss_uses_the_transform_and_sigmoids_the_class_weights():
    logits, label = torch.tensor([[0.0, math.log(3)]]), torch.tensor([1])  # softmax 1/4, 3/4; sigmoids 1/2, 3/4
    swapped = build(smoothing=0.2, smoothing_transform=[[0.0, 1], [1, 0]])
    assert swapped(logits, label).item() == pytest.approx(0.8 * math.log(4) + 0.2 * math.log(4 / 3), rel=1e-5)
    weighted = build(smoothing=0.0, loss_func='BCEWithLogitsLoss', class_weight=[2.0, 4.0])
    assert weighted(logits, label).item() == pytest.approx((2 * math.log(2) + 4 * math.log(4 / 3)) / 2, rel=1e-5)
