"""What holds for every loss: emptiness, reductions, weights, half precision."""

import pytest
import torch

from mmdet.models.builder import build_loss
from mmdet.models.losses import Accuracy, accuracy, reduce_loss, weight_reduce_loss, weighted_loss

N = 6


def boxes(n: int) -> torch.Tensor:
    corner = torch.rand(n, 2) * 10
    return torch.cat([corner, corner + 1 + torch.rand(n, 2) * 10], 1)


def elements(n: int) -> tuple:
    return torch.randn(n, 4), torch.randn(n, 4), torch.rand(n, 4)


def classes(n: int) -> tuple:
    return torch.randn(n, 3), torch.arange(n) % 4, torch.rand(n)


# name: (config, function of n giving predictions, targets, weights)
CASES = {
    'ce': (dict(type='CrossEntropyLoss'), lambda n: (torch.randn(n, 4), torch.arange(n) % 4, torch.rand(n))),
    'bce': (dict(type='CrossEntropyLoss', use_sigmoid=True), classes),
    'focal': (dict(type='FocalLoss'), classes),
    'focal_prob': (dict(type='FocalLoss', activated=True), lambda n: (torch.rand(n, 3), *classes(n)[1:])),
    'qfl': (
        dict(type='QualityFocalLoss'),
        lambda n: (torch.randn(n, 3), (torch.arange(n) % 4, torch.rand(n)), torch.rand(n)),
    ),
    'dfl': (dict(type='DistributionFocalLoss'), lambda n: (torch.randn(n, 8), torch.rand(n) * 7, torch.rand(n))),
    'vfl': (dict(type='VarifocalLoss'), lambda n: (torch.randn(n, 3), torch.rand(n, 3), torch.rand(n, 3))),
    'gaussian': (dict(type='GaussianFocalLoss'), lambda n: (torch.rand(n, 4), torch.rand(n, 4), torch.rand(n, 4))),
    'l1': (dict(type='L1Loss'), elements),
    'smooth_l1': (dict(type='SmoothL1Loss'), elements),
    'balanced_l1': (dict(type='BalancedL1Loss'), elements),
    'mse': (dict(type='MSELoss'), elements),
    'kd': (
        dict(type='KnowledgeDistillationKLDivLoss'),
        lambda n: (torch.randn(n, 4), torch.randn(n, 4), torch.rand(n)),
    ),
    'iou': (dict(type='IoULoss'), lambda n: (boxes(n), boxes(n), torch.rand(n))),
    'giou': (dict(type='GIoULoss'), lambda n: (boxes(n), boxes(n), torch.rand(n))),
    'diou': (dict(type='DIoULoss'), lambda n: (boxes(n), boxes(n), torch.rand(n))),
    'ciou': (dict(type='CIoULoss'), lambda n: (boxes(n), boxes(n), torch.rand(n))),
    'bounded_iou': (dict(type='BoundedIoULoss'), lambda n: (boxes(n), boxes(n), torch.rand(n, 4))),
    'dice': (dict(type='DiceLoss'), lambda n: (torch.randn(n, 5), torch.ones(n, 5), torch.rand(n))),
    'smoothed': (
        dict(type='SmoothedLoss', weighting='sample'),
        lambda n: (torch.randn(n, 4), torch.arange(n) % 4, torch.rand(n)),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    return CASES[request.param]


@pytest.mark.parametrize('avg_factor', [None, 0.0, torch.tensor(0)])
def test_no_samples_give_zero_on_the_graph(case, avg_factor):
    cfg, make = case
    pred, target, weight = make(0)
    pred.requires_grad_()
    out = build_loss(cfg)(pred, target, weight=weight, avg_factor=avg_factor)
    out.backward()
    assert out.shape == () and out == 0 and pred.grad is not None


def test_all_zero_weights_give_zero_gradients(case):
    cfg, make = case
    pred, target, weight = make(N)
    pred.requires_grad_()
    out = build_loss(cfg)(pred, target, weight=weight * 0, avg_factor=3.0)
    out.backward()
    assert out == 0 and torch.equal(pred.grad, torch.zeros_like(pred))


def test_reductions_agree_with_each_other(case):
    cfg, make = case
    pred, target, weight = make(N)
    loss = build_loss(dict(cfg, loss_weight=2.0))
    each = loss(pred, target, weight=weight, reduction_override='none')
    torch.testing.assert_close(loss(pred, target, weight=weight, reduction_override='sum'), each.sum())
    torch.testing.assert_close(loss(pred, target, weight=weight), each.mean())
    for avg_factor in (5.0, torch.tensor(5)):
        torch.testing.assert_close(loss(pred, target, weight=weight, avg_factor=avg_factor), each.sum() / 5)
    torch.testing.assert_close(build_loss(cfg)(pred, target, weight=weight), each.mean() / 2)


def test_loss_is_linear_in_each_sample_weight(case):
    cfg, make = case
    pred, target, weight = make(N)
    loss, first = build_loss(cfg), torch.zeros_like(weight)
    first[0] = weight[0]
    parts = [loss(pred, target, weight=w, avg_factor=N) for w in (first, weight - first, weight + 9 * first)]
    torch.testing.assert_close(parts[2], 10 * parts[0] + parts[1])


def test_half_precision_predictions_give_float32_losses(case):
    cfg, make = case
    pred, target, weight = make(N)
    pred = pred.bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = build_loss(cfg)(pred, target, weight=weight)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, build_loss(cfg)(pred.float(), target, weight=weight))


def test_unknown_reductions_are_refused(case):
    cfg, make = case
    with pytest.raises(ValueError, match="reduction must be one of.*'max'"):
        build_loss(cfg)(*make(N)[:2], reduction_override='max')


def test_weighted_loss_wraps_an_elementwise_function():
    @weighted_loss
    def difference(pred, target, power=1):
        return (pred - target) ** power

    pred, target = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 1.0])
    assert difference(pred, target).item() == 3
    assert difference(pred, target, torch.tensor([1.0, 0.5]), reduction='sum', power=2).item() == 4 + 8
    assert difference(pred, target, reduction='none').tolist() == [2, 4]


def test_weight_reduce_loss_survives_a_divisor_of_zero():
    assert weight_reduce_loss(torch.zeros(3), avg_factor=0.0) == 0
    assert torch.isfinite(weight_reduce_loss(torch.ones(3), avg_factor=torch.tensor(0)))
    assert reduce_loss(torch.zeros(0), 'mean') == 0


def test_accuracy_topk_and_threshold():
    pred = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6], [0.05, 0.8, 0.15]])
    target = torch.tensor([1, 2, 2, 0])
    assert accuracy(pred, target).tolist() == [50]
    assert [a.item() for a in Accuracy((1, 2))(pred, target)] == [50, 75]
    assert accuracy(pred, target, thresh=0.6).tolist() == [0]
    assert accuracy(pred[:0], target[:0]).item() == 0
    with pytest.raises(ValueError, match='C >= 4'):
        accuracy(pred, target, topk=4)


@pytest.mark.parametrize('weight_shape', [(6,), (6, 3)])
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_ghmc_reduces_as_asked_for_with_labels_or_decisions(weight_shape, reduction):
    torch.manual_seed(0)
    pred, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 0, 1])
    target = labels if len(weight_shape) == 1 else torch.nn.functional.one_hot(labels, 4)[:, :3].float()
    loss = build_loss(dict(type='GHMC'))
    whole = loss(pred, target, torch.ones(weight_shape), reduction_override='none')
    got = loss(pred, target, torch.ones(weight_shape), avg_factor=2.0, reduction_override=reduction)
    expected = dict(none=whole, sum=whole.sum(), mean=whole.sum() / 18)[reduction]
    assert torch.allclose(got, expected)
    with pytest.raises(ValueError, match='reduction must be one of'):
        loss(pred, target, torch.ones(weight_shape), reduction_override=True)
