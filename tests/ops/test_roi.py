"""RoI pooling on maps whose values can be computed by hand."""

import pytest
import torch
from torch.autograd import gradcheck

from mmdet.ops import RoIAlign, RoIPool, roi, roi_align, roi_pool


def ramp(height: int = 8, width: int = 10) -> torch.Tensor:
    """One map whose value is 10 * y + x."""
    return (10.0 * torch.arange(height)[:, None] + torch.arange(width))[None, None]


@pytest.mark.parametrize('ratio', [0, 1, 2])
def test_roi_align_aligned_reads_the_ramp_at_bin_centres(ratio):
    # bins of 2 x 2 cells from (2, 1): centres (3, 2) and (5, 2) in corner coordinates, half a cell less in cells
    out = roi_align(ramp(), torch.tensor([[0.0, 2, 1, 6, 3]]), (1, 2), 1.0, ratio, 'avg', True)
    torch.testing.assert_close(out, torch.tensor([[[[15 + 2.5, 15 + 4.5]]]]))


def test_roi_align_not_aligned_is_half_a_cell_later():
    out = roi_align(ramp(), torch.tensor([[0.0, 2, 1, 6, 3]]), (1, 2), 1.0, 2, 'avg', False)
    torch.testing.assert_close(out, torch.tensor([[[[20.0 + 3, 20 + 5]]]]))


def test_roi_align_not_aligned_makes_rois_at_least_one_cell():
    roi = torch.tensor([[0.0, 2, 1, 2, 1]])
    assert roi_align(ramp(), roi, 1, 1.0, 2, 'max', False).item() == pytest.approx(10 * 1.75 + 2.75)
    assert roi_align(ramp(), roi, 1, 1.0, 2, 'avg', False).item() == pytest.approx(10 * 1.5 + 2.5, rel=1e-5)
    assert roi_align(ramp(), roi, 1, 1.0, 2, 'avg', True).item() == pytest.approx(10 * 0.5 + 1.5, rel=1e-5)


@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_max_reads_the_last_sample_of_a_ramp(ratio):
    # samples of the 2 x 2 bin from (2, 1) lie at 1.5 + 2 * 3/4 - 0.5 ... : the greatest at y = 2, x = 3
    out = roi_align(ramp(), torch.tensor([[0.0, 2, 1, 4, 3]]), 1, 1.0, ratio, 'max', True)
    assert out.item() == pytest.approx(10 * 2.0 + 3.0, rel=1e-5)


def test_roi_align_max_of_one_sample_equals_avg_of_one_sample():
    features = torch.randn(2, 3, 7, 9)
    rois = torch.tensor([[0.0, -6, -3, 20, 40], [1, 3, 3, 17, 11], [0, 60, 60, 80, 80]])
    for aligned in (True, False):
        avg, best = (roi_align(features, rois, (3, 2), 0.5, 1, mode, aligned) for mode in ('avg', 'max'))
        torch.testing.assert_close(avg, best)


def test_roi_align_spatial_scale_and_batch_index():
    features = torch.cat([ramp(), -ramp()])
    rois = torch.tensor([[1.0, 8, 4, 24, 12], [0, 8, 4, 24, 12]])
    out = RoIAlign((1, 2), spatial_scale=0.25, sampling_ratio=2)(features, rois).squeeze()
    torch.testing.assert_close(out, torch.tensor([[-17.5, -19.5], [17.5, 19.5]]))


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_gradient(mode, ratio):
    torch.manual_seed(0)
    features = torch.randn(2, 2, 5, 6, dtype=torch.double, requires_grad=True)
    rois = torch.tensor([[0.0, 0.3, 0.2, 4.7, 3.1], [1, 1.2, 0.6, 5.5, 4.4]], dtype=torch.double)
    assert gradcheck(lambda x: roi_align(x, rois, 2, 1.0, ratio, mode), features)


def test_roi_pool_takes_the_greatest_cell():
    out = RoIPool(2, 0.5)(ramp(), torch.tensor([[0.0, 2, 2, 8, 8]]))  # cells 1 .. 4 both ways
    assert out.squeeze().tolist() == [[22, 24], [42, 44]]


@pytest.mark.parametrize('pool', [roi_align, roi_pool])
@pytest.mark.parametrize('images', [0, 2])
def test_no_rois_give_an_empty_result_on_the_graph(pool, images):
    features = torch.randn(images, 3, 4, 4, requires_grad=True)
    out = pool(features, torch.zeros(0, 5), 7)
    assert out.shape == (0, 3, 7, 7)
    out.sum().backward()
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_roi_align_max_without_rois_or_samples():
    features = torch.randn(1, 3, 4, 4, requires_grad=True)
    assert roi_align(features, torch.zeros(0, 5), 2, pool_mode='max').shape == (0, 3, 2, 2)
    out = roi_align(features, torch.tensor([[0.0, 1, 1, 1, 1]]), 2, pool_mode='max')
    out.sum().backward()
    assert not out.any() and not features.grad.any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_pooled_in_float32(dtype):
    features, rois = torch.randn(1, 2, 8, 8).to(dtype), torch.tensor([[0.0, 1.3, 1.7, 6.1, 5.9]])
    for pool in (roi_align, roi_pool):
        out = pool(features, rois, 2)
        assert out.dtype == dtype
        assert torch.equal(out, pool(features.float(), rois, 2).to(dtype))


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match=r'RoIs must be \(n, 5\).*\(1, 4\)'):
        roi_align(ramp(), torch.zeros(1, 4), 2)
    with pytest.raises(ValueError, match="pool_mode must be one of.*'sum'"):
        roi_align(ramp(), torch.zeros(1, 5), 2, pool_mode='sum')


@pytest.mark.parametrize('sizes', [(5, 3), (0, 4), (0, 0)])
@pytest.mark.parametrize(
    'layer, settings',
    [
        (RoIAlign, dict(sampling_ratio=0)),
        (RoIAlign, dict(sampling_ratio=2, aligned=False)),
        (RoIAlign, dict(sampling_ratio=2, pool_mode='max')),
        (RoIPool, {}),
    ],
)
def test_pooling_of_fixed_size_equals_pooling_level_by_level(layer, settings, sizes, monkeypatch):
    monkeypatch.setattr(roi, '_roi_align_levels', lambda *args: None)  # not what only a CPU does
    torch.manual_seed(0)
    layers = [layer(3, spatial_scale=1 / stride, **settings) for stride in (4, 8)]
    feats = [torch.randn(2, 3, 32 // scale, 40 // scale, requires_grad=True) for scale in (1, 2)]
    levels = torch.arange(2).repeat_interleave(torch.tensor(sizes))[torch.randperm(sum(sizes))]
    corners = torch.rand(len(levels), 2) * 90 - 10
    boxes = torch.cat([torch.randint(0, 2, (len(levels), 1)), corners, corners + 60 * torch.rand(len(levels), 2)], 1)
    results = []
    for fixed in (True, False):
        pooled = roi.pool_from_levels(layers, feats, boxes, levels, fixed)
        results.append((pooled, *torch.autograd.grad(pooled.square().sum(), feats)))
    for one, other in zip(*results):
        torch.testing.assert_close(one, other)
