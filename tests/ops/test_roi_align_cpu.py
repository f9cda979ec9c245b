"""RoIAlign as a sparse product, against torchvision's kernel and against hand-computed weights."""

import pytest
import torch
import torchvision.ops

import mmdet.ops.roi_align_cpu as module
from mmdet.ops import roi_align
from mmdet.ops.roi import RoIAlign, pool_from_levels
from mmdet.ops.roi_align_cpu import Geometry, Level, axis_weights, bin_weights, pays, roi_align_cpu

ROIS = [
    [0.0, 3.2, 2.1, 40.7, 25.3],
    [1, -9, -7, 12, 90],  # over three borders
    [1, 20, 20, 20, 20],  # no area
    [0, 200, 200, 260, 230],  # outside
    [1, 30, 12, 10, 40],  # negative width
    [0, 0, 0, 63, 63],
]


def case(dtype: torch.dtype = torch.float32, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, channels, 15, 17, dtype=dtype, requires_grad=True), torch.tensor(ROIS, dtype=dtype)


def one_level(features: torch.Tensor, rois: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    return roi_align_cpu([Level(features, torch.arange(len(rois)), geometry)], rois)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 1, 3])
@pytest.mark.parametrize('size', [(1, 1), (3, 5)])
def test_equals_torchvision_forward_and_backward(aligned, ratio, size):
    features, rois = case()
    rois = rois[rois[:, 3] >= rois[:, 1]] if ratio == 0 else rois  # torchvision fails on a negative width there
    geometry = Geometry(size, 0.25, ratio, aligned)
    own = one_level(features, rois, geometry)
    other = torchvision.ops.roi_align(features, rois, *geometry)
    torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)
    grad = torch.randn_like(other)
    own_grad, other_grad = (torch.autograd.grad(out, features, grad)[0] for out in (own, other))
    torch.testing.assert_close(own_grad, other_grad, atol=1e-5, rtol=1e-5)


def test_gradient_in_double():
    features, rois = case(torch.double)
    geometry = Geometry((2, 2), 0.2, 0, True)
    assert torch.autograd.gradcheck(lambda x: one_level(x, rois, geometry), features)


def test_parts_of_the_rois_give_the_same(monkeypatch):
    features, rois = case()
    geometry = Geometry((3, 2), 0.25, 2, True)
    whole = bin_weights(rois, 2, (15, 17), geometry)
    monkeypatch.setattr(module, 'MAX_WEIGHTS', 1)
    for a, b in zip(bin_weights(rois, 2, (15, 17), geometry), whole):
        assert torch.equal(a, b)


def test_memory_order_of_the_features_changes_nothing():
    features, rois = case()
    geometry = Geometry((3, 2), 0.25, 2, True)
    last = features.detach().contiguous(memory_format=torch.channels_last)
    assert torch.equal(one_level(last, rois, geometry), one_level(features, rois, geometry))


def test_axis_weights_by_hand():
    # one bin of 2 cells from 1.0 with two samples, at 1.5 and 2.5; and a RoI of which all but one sample are outside
    weights, cells = axis_weights(torch.tensor([1.0, -3.0]), torch.tensor([2.0, 4.0]), 1, 2, 5)
    assert cells[0, 0].tolist()[:3] == [1, 2, 3]
    torch.testing.assert_close(weights[0, 0, :3], torch.tensor([0.25, 0.5, 0.25]))
    # samples at -2 (outside) and 0
    torch.testing.assert_close(weights[1, 0].sum(), torch.tensor(0.5))
    assert cells[1, 0, 0] == 0


def test_transposed_has_a_row_for_each_cell():
    _, rois = case()
    rows = bin_weights(rois, 2, (15, 17), Geometry((2, 3), 0.25, 0, True))
    vectors = torch.randn(2 * 15 * 17, 4)
    dense = rows.product(torch.eye(2 * 15 * 17))
    torch.testing.assert_close(rows.product(vectors), dense @ vectors)
    grads = torch.randn(len(dense), 4)
    torch.testing.assert_close(rows.transposed(2 * 15 * 17).product(grads), dense.t() @ grads)


def test_rois_without_samples_give_zeros():
    features, rois = case()
    out = one_level(features, rois[4:5], Geometry((2, 2), 0.25, 0, True))
    out.sum().backward()
    assert out.shape == (1, 3, 2, 2) and not out.any() and not features.grad.any()


def test_where_it_pays():
    features, rois = case(channels=32)

    def worth(features, rois, size=(7, 7)):
        return pays([Level(features, torch.arange(len(rois)), Geometry(size, 0.25, 0, True))], rois)

    assert worth(features, rois)
    assert not worth(features, rois[:0])
    assert not worth(features, rois * float('nan'))
    assert not worth(features, rois[:1], (1, 1))  # one bin would cost bringing a whole map into order
    assert not worth(features[:, :1], rois)
    assert not pays([], rois)
    with torch.no_grad():
        assert not worth(features, rois)


def test_roi_align_takes_it_where_it_pays():
    features, rois = case(channels=32)
    rois = rois[:4]
    out = roi_align(features, rois, 7, 0.25)
    torch.testing.assert_close(out, torchvision.ops.roi_align(features, rois, (7, 7), 0.25, 0, True))
    assert '_RoIAlign' in type(out.grad_fn).__name__ and out.is_contiguous()


LAYERS = [RoIAlign(3, 1 / 4), RoIAlign(3, 1 / 8), RoIAlign(3, 1 / 16)]


def level_case(levels, order=torch.contiguous_format):
    generator = torch.Generator().manual_seed(1)
    feats = [torch.randn(2, 32, 64 // s, 64 // s, generator=generator) for s in (4, 8, 16)]
    feats = [feat.contiguous(memory_format=order).requires_grad_() for feat in feats]
    corners = torch.rand(len(levels), 2, generator=generator) * 40
    sides = 2 + 50 * torch.rand(len(levels), 2, generator=generator)
    images = torch.arange(len(levels))[:, None] % 2
    return feats, torch.cat([images, corners, corners + sides], 1), torch.tensor(levels)


def per_level(layers, feats, rois, levels):
    """torchvision's kernel for one RoI after the other."""
    pooled = [
        torchvision.ops.roi_align(feats[i], roi[None], (3, 3), layers[i].spatial_scale, 0, True)
        for roi, i in zip(rois, levels.tolist())
    ]
    return torch.cat(pooled)


@pytest.mark.parametrize('order', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('cached', [1, 2**19])  # one RoI at a time, and all of them
@pytest.mark.parametrize('levels', [[2, 0, 1, 0, 2, 2, 0, 1, 1, 0], [2, 0, 0, 2, 0] * 3, [1] * 9])
def test_levels_together_equal_torchvision_one_by_one(levels, cached, order, monkeypatch):
    monkeypatch.setattr(module, 'CACHED_VALUES', cached)
    feats, rois, levels = level_case(levels, order)
    own, other = pool_from_levels(LAYERS, feats, rois, levels), per_level(LAYERS, feats, rois, levels)
    assert '_RoIAlign' in type(own.grad_fn).__name__ and own.is_contiguous()
    torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)
    grad = torch.randn_like(other)
    own_grads = torch.autograd.grad(own, feats, grad)
    other_grads = torch.autograd.grad(other, feats, grad, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(own_grads, other_grads, atol=1e-5, rtol=1e-5)


def test_levels_of_half_precision_and_gradients_in_another_order():
    feats, rois, levels = level_case([0, 1, 2, 0, 1, 0, 0])
    halves = [feat.detach().bfloat16().requires_grad_() for feat in feats]
    out = pool_from_levels(LAYERS, halves, rois, levels)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), per_level(LAYERS, feats, rois, levels), atol=0.02, rtol=0.02)
    grad = torch.randn_like(out).contiguous(memory_format=torch.channels_last)
    expected = torch.autograd.grad(out, halves, grad.contiguous(), retain_graph=True)
    for a, b in zip(torch.autograd.grad(out, halves, grad), expected):
        assert torch.equal(a, b) and a.dtype == torch.bfloat16


def test_levels_without_rois_or_with_other_layers_go_the_usual_way():
    feats, rois, levels = level_case([0, 1, 2, 0, 1, 0, 0])
    none = pool_from_levels(LAYERS, feats, rois[:0], levels[:0])
    none.sum().backward()
    assert none.shape == (0, 32, 3, 3) and all(feat.grad is not None for feat in feats)
    greatest = [RoIAlign(3, layer.spatial_scale, 0, 'max') for layer in LAYERS]
    out = pool_from_levels(greatest, feats, rois, levels)
    torch.testing.assert_close(out[2:3], greatest[2](feats[2], rois[2:3]))
    seen = []
    handle = LAYERS[1].register_forward_hook(lambda *args: seen.append(len(args[2])))
    pool_from_levels(LAYERS, feats, rois, levels)
    handle.remove()
    assert seen == [2]
