"""Reweighting by rank, by hand."""

from types import SimpleNamespace

import pytest
import torch

from mmdet.models.builder import build_loss
from mmdet.models.losses import carl_loss, isr_p
from mmdet.models.losses.pisa_loss import _batch_gt_inds, _rank_within


class Shift:
    """A coder that adds deltas to boxes."""

    @staticmethod
    def decode(boxes: torch.Tensor, deltas: torch.Tensor) -> torch.Tensor:
        return boxes + deltas


def test_rank_within_groups():
    groups, values = torch.tensor([1, 0, 1, 0, 1]), torch.tensor([0.2, 0.5, 0.9, 0.7, 0.4])
    assert _rank_within(groups, values).tolist() == [2, 1, 0, 0, 1]


@pytest.mark.parametrize('per_image', [[[0, 0, 1, 1]], [[0, 0], [0, 0]]])
def test_isr_p_puts_the_best_of_each_object_first(per_image):
    # four positives of class 0 on two objects and one background; IoUs 1.0, 0.9 | 0.6, 0.5
    labels = torch.tensor([0, 0, 0, 0, 1])
    rois = torch.tensor([[0.0, 0, 0, 10, 10]]).repeat(5, 1)
    targets = torch.zeros(5, 4)
    deltas = torch.zeros(5, 4)
    deltas[:4, 2] = torch.tensor([0.0, -1, -4, -5])
    sampling = [SimpleNamespace(pos_assigned_gt_inds=torch.tensor(inds)) for inds in per_image]
    weights = torch.ones(5)
    loss = build_loss(dict(type='CrossEntropyLoss'))
    out = isr_p(
        torch.zeros(5, 2), deltas, (labels, weights, targets, targets), rois, sampling, loss, Shift, k=1, num_class=1
    )
    # ranks 0, 2, 1, 3 of four: 1, 2/4, 3/4, 1/4, scaled so that the equal losses keep their sum 4
    torch.testing.assert_close(out[1], torch.tensor([1.6, 0.8, 1.2, 0.4, 1.0]))
    assert torch.equal(weights, torch.ones(5))


def test_isr_p_without_positives_changes_nothing():
    targets = (torch.ones(2, dtype=torch.long), torch.ones(2), torch.zeros(2, 4), torch.zeros(2, 4))
    sampling = [SimpleNamespace(pos_assigned_gt_inds=torch.zeros(0, dtype=torch.long))]
    out = isr_p(torch.zeros(2, 2), torch.zeros(2, 4), targets, torch.zeros(2, 5), sampling, None, Shift, num_class=1)
    assert all(a is b for a, b in zip(out, targets))


def test_carl_loss_weights_boxes_by_their_score():
    # scores 3/4 and 1/4 of class 0, weights 0.5 + 0.5 * score, made to have the mean 1
    logits = torch.tensor([[3.0, 1], [1, 3], [1, 1]]).log().requires_grad_()
    pred, labels = torch.tensor([[1.0] * 4, [3.0] * 4, [9.0] * 4]), torch.tensor([0, 0, 1])
    loss_bbox = build_loss(dict(type='L1Loss'))
    out = carl_loss(logits, labels, pred, torch.zeros(3, 4), loss_bbox, bias=0.5, num_class=1)['loss_carl']
    total = 0.875 + 0.625
    torch.testing.assert_close(out, torch.tensor([(4 * 0.875 + 12 * 0.625) * 2 / total / 3]))
    out.backward()
    assert logits.grad[:2].abs().min() > 1e-3 and not logits.grad[2].any()


def test_carl_loss_without_positives_is_zero_on_the_graph():
    logits = torch.zeros(2, 2, requires_grad=True)
    out = carl_loss(logits, torch.ones(2, dtype=torch.long), torch.zeros(2, 4), torch.zeros(2, 4), None, num_class=1)
    out['loss_carl'].backward()
    assert out['loss_carl'].tolist() == [0] and not logits.grad.any()


def test_carl_loss_takes_the_deltas_of_each_box_s_class():
    logits, labels = torch.zeros(3, 3), torch.tensor([1, 0, 2])
    class_wise = torch.tensor([[9.0] * 4 + [1.0] * 4, [3.0] * 4 + [9.0] * 4, [9.0] * 8])
    given = (torch.zeros(3, 4), build_loss(dict(type='L1Loss')))
    out, wanted = (
        carl_loss(logits, labels, pred, *given, num_class=2)['loss_carl']
        for pred in (class_wise, torch.tensor([[1.0] * 4, [3.0] * 4, [9.0] * 4]))
    )
    assert out.item() == wanted.item() == pytest.approx((4 * 1 + 4 * 3) / 3)


def test_background_is_class_80_unless_told_otherwise():
    given = (torch.zeros(1, 81), torch.tensor([80]), torch.ones(1, 4), torch.zeros(1, 4))
    assert carl_loss(*given, build_loss(dict(type='L1Loss')))['loss_carl'].item() == 0


def test_importance_is_squared_and_a_fifth_of_the_weight_is_fixed_unless_told_otherwise():
    labels, weights, zeros = torch.tensor([0, 0]), torch.ones(2), torch.zeros(2, 4)
    deltas = zeros.clone()
    deltas[1, 2] = -5  # IoUs 1 and 1/2: importances 1 and 1/2, squared 1 and 1/4, of sum 2
    sampling = [SimpleNamespace(pos_assigned_gt_inds=torch.tensor([0, 0]))]
    rois = torch.tensor([[0.0, 0, 0, 10, 10]]).repeat(2, 1)
    loss = build_loss(dict(type='CrossEntropyLoss'))
    out = isr_p(torch.zeros(2, 2), deltas, (labels, weights, zeros, zeros), rois, sampling, loss, Shift, num_class=1)
    torch.testing.assert_close(out[1], torch.tensor([1.6, 0.4]))
    # scores 1 and 0: weights 1 and 0.2, made to have the mean 1, against L1 losses of 4 and 8
    logits, pred = torch.tensor([[99.0, 0], [0, 99]]), torch.tensor([[1.0] * 4, [2.0] * 4])
    out = carl_loss(logits, labels, pred, zeros, build_loss(dict(type='L1Loss')), num_class=1)['loss_carl']
    assert out.item() == pytest.approx((4 * 1 + 8 * 0.2) * 2 / 1.2 / 2, rel=1e-5)


def test_objects_of_different_images_are_told_apart():
    sampling = [SimpleNamespace(pos_assigned_gt_inds=torch.tensor(inds)) for inds in ([1, 0], [], [0, 1])]
    sampling[1].pos_assigned_gt_inds = torch.zeros(0, dtype=torch.long)
    assert _batch_gt_inds(sampling).tolist() == [1, 0, 4, 5]


def test_isr_p_keeps_the_sum_of_weighted_losses_and_a_least_weight():
    labels, zeros = torch.tensor([0, 0]), torch.zeros(2, 4)
    deltas = zeros.clone()
    deltas[1, 2] = -5  # IoUs 1 and 1/2: importances 1 and 1/2
    logits = torch.tensor([[1.0, 1], [1, 3]]).log()  # losses log 2 and log 4
    weights = torch.tensor([1.0, 0.5])
    sampling = [SimpleNamespace(pos_assigned_gt_inds=torch.tensor([0, 0]))]
    rois = torch.tensor([[0.0, 0, 0, 10, 10]]).repeat(2, 1)
    loss = build_loss(dict(type='CrossEntropyLoss'))
    given = (logits, deltas, (labels, weights, zeros, zeros), rois, sampling, loss, Shift)
    new = isr_p(*given, k=1, bias=0.5, num_class=1)[1]
    # 1/2 + 1/2 * (1, 1/4) = (1, 5/8); losses (1 + 1) log 2 before, (1 + 5/4) log 2 then: times 8/9
    torch.testing.assert_close(new, torch.tensor([8 / 9, 5 / 9]))


def test_isr_p_knows_80_classes_unless_told_otherwise():
    targets = (torch.tensor([80]), torch.ones(1), torch.zeros(1, 4), torch.zeros(1, 4))
    sampling = [SimpleNamespace(pos_assigned_gt_inds=torch.zeros(0, dtype=torch.long))]
    assert isr_p(torch.zeros(1, 81), torch.zeros(1, 4), targets, torch.zeros(1, 5), sampling, None, Shift) == targets
