"""RoIAlign as a sparse product, against torchvision's kernel and against hand-computed weights."""

import pytest
import torch
import torchvision.ops

import mmdet.ops.roi_align_cpu as module
from mmdet.ops import roi_align
from mmdet.ops.roi_align_cpu import Geometry, axis_weights, bin_weights, pays, roi_align_cpu

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


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 1, 3])
@pytest.mark.parametrize('size', [(1, 1), (3, 5)])
def test_equals_torchvision_forward_and_backward(aligned, ratio, size):
    features, rois = case()
    rois = rois[rois[:, 3] >= rois[:, 1]] if ratio == 0 else rois  # torchvision fails on a negative width there
    geometry = Geometry(size, 0.25, ratio, aligned)
    own = roi_align_cpu(features, rois, geometry)
    other = torchvision.ops.roi_align(features, rois, *geometry)
    torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)
    grad = torch.randn_like(other)
    own_grad, other_grad = (torch.autograd.grad(out, features, grad)[0] for out in (own, other))
    torch.testing.assert_close(own_grad, other_grad, atol=1e-5, rtol=1e-5)


def test_gradient_in_double():
    features, rois = case(torch.double)
    geometry = Geometry((2, 2), 0.2, 0, True)
    assert torch.autograd.gradcheck(lambda x: roi_align_cpu(x, rois, geometry), features)


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
    assert torch.equal(roi_align_cpu(last, rois, geometry), roi_align_cpu(features, rois, geometry))


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
    out = roi_align_cpu(features, rois[4:5], Geometry((2, 2), 0.25, 0, True))
    out.sum().backward()
    assert out.shape == (1, 3, 2, 2) and not out.any() and not features.grad.any()


def test_where_it_pays():
    features, rois = case(channels=32)
    assert pays(features, rois, (7, 7))
    assert not pays(features, rois[:0], (7, 7))
    assert not pays(features, rois * float('nan'), (7, 7))
    assert not pays(features, rois[:1], (1, 1))  # one bin would cost bringing a whole map into order
    assert not pays(features[:, :1], rois, (7, 7))
    with torch.no_grad():
        assert not pays(features, rois, (7, 7))


def test_roi_align_takes_it_where_it_pays():
    features, rois = case(channels=32)
    rois = rois[:4]
    out = roi_align(features, rois, 7, 0.25)
    torch.testing.assert_close(out, torchvision.ops.roi_align(features, rois, (7, 7), 0.25, 0, True))
    assert 'RoIAlign' in type(out.grad_fn).__name__ and out.is_contiguous(memory_format=torch.channels_last)
