"""Deformable RoI pooling: against RoIAlign of moved RoIs, by gradcheck, and as layers of RoI extractors."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from mmdet.models.builder import build_roi_extractor
from mmdet.ops import DeformRoIPool, DeformRoIPoolPack, ModulatedDeformRoIPoolPack, deform_roi_pool, roi_align

ROIS = torch.tensor([[1, 2.0, 3.0, 17.0, 25.0], [0, 8.0, 0.0, 31.0, 9.0], [1, -6.0, -2.0, 40.0, 30.0]])


@pytest.mark.parametrize('ratio', [0, 2])
def test_zero_offsets_are_roi_align(ratio):
    features = torch.randn(3, 2, 8, 9)
    out = deform_roi_pool(features, ROIS, torch.zeros(3, 2, 2, 3), (2, 3), 0.25, ratio)
    torch.testing.assert_close(out, roi_align(features, ROIS, (2, 3), 0.25, ratio), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(deform_roi_pool(features, ROIS, None, (2, 3), 0.25, ratio), out, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('axis', [0, 1])
def test_an_offset_is_a_share_of_the_roi_x_before_y(axis):
    features = torch.randn(2, 2, 8, 9)
    offset = torch.zeros(3, 2, 2, 3)
    offset[:, axis] = 1.5
    extent = ROIS[:, 3 + axis] - ROIS[:, 1 + axis]
    moved = ROIS.clone()
    for corner in (1, 3):
        moved[:, corner + axis] += 0.2 * 1.5 * extent
    out = deform_roi_pool(features, ROIS, offset, (2, 3), 0.25, 2, gamma=0.2)
    torch.testing.assert_close(out, roi_align(features, moved, (2, 3), 0.25, 2), rtol=1e-4, atol=1e-5)


def test_each_bin_has_its_own_offset():
    ramp = torch.arange(16.0).expand(1, 1, 16, 16) + 100 * torch.arange(16.0)[:, None]
    rois = torch.tensor([[0, 4.0, 4.0, 8.0, 8.0]])
    offset = torch.zeros(1, 2, 2, 2)
    offset[0, 0, 0, 1] = 5  # 0.1 * 4 * 5 = 2 cells to the right
    offset[0, 1, 1, 0] = -2.5  # 1 cell up
    out = deform_roi_pool(ramp, rois, offset, 2)
    torch.testing.assert_close(out[0, 0], torch.tensor([[454.5, 458.5], [554.5, 656.5]]))


def test_roi_without_height_is_zero_and_far_outside_too():
    rois = torch.tensor([[0, 2.0, 5.0, 6.0, 5.0], [0, 90.0, 90.0, 95.0, 95.0], [0, 0.0, 0.0, 8.0, 8.0]])
    out = deform_roi_pool(torch.ones(1, 1, 8, 8), rois, torch.full((3, 2, 2, 2), 1e-3), 2)
    assert torch.equal(out[:2], torch.zeros(2, 1, 2, 2))
    torch.testing.assert_close(out[2], torch.ones(1, 2, 2))


@pytest.mark.parametrize('ratio', [0, 1])
def test_gradients(ratio):
    torch.manual_seed(0)
    features = torch.randn(2, 2, 5, 5, dtype=torch.double, requires_grad=True)
    offset = torch.rand(2, 2, 2, 2, dtype=torch.double, requires_grad=True)
    rois = torch.tensor([[1, 0.3, 0.2, 3.4, 3.9], [0, 1.1, 0.4, 4.2, 2.6]], dtype=torch.double)
    assert gradcheck(lambda f, o: deform_roi_pool(f, rois, o, 2, 1.0, ratio), (features, offset))


@pytest.mark.parametrize(('cls', 'factor'), [(DeformRoIPoolPack, 1), (ModulatedDeformRoIPoolPack, 0.5)])
def test_packs_start_as_roi_align(cls, factor):
    layer = cls((2, 3), output_channels=2, deform_fc_channels=4, spatial_scale=0.25)
    features = torch.randn(2, 2, 8, 9)
    want = factor * roi_align(features, ROIS, (2, 3), 0.25)
    torch.testing.assert_close(layer(features, ROIS), want, rtol=1e-4, atol=1e-5)
    assert [tuple(m.weight.shape) for m in layer.offset_fc[::2]] == [(4, 12), (4, 4), (12, 4)]
    if cls is ModulatedDeformRoIPoolPack:
        assert [tuple(m.weight.shape) for m in layer.mask_fc[:3:2]] == [(4, 12), (6, 4)]


def test_packs_use_what_they_predict():
    layer = ModulatedDeformRoIPoolPack(2, output_channels=1, deform_fc_channels=4)
    with torch.no_grad():
        layer.offset_fc[-1].bias[0] = 5  # x of the first bin
        layer.mask_fc[2].bias.fill_(100)
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    out = layer(ramp, torch.tensor([[0, 4.0, 4.0, 8.0, 8.0]]))
    torch.testing.assert_close(out[0, 0], torch.tensor([[6.5, 6.5], [4.5, 6.5]]))


@pytest.mark.parametrize('cls', [DeformRoIPoolPack, ModulatedDeformRoIPoolPack])
def test_no_roi_keeps_shape_and_graph(cls):
    layer = cls(2, output_channels=3, deform_fc_channels=4)
    features = torch.randn(1, 3, 4, 4, requires_grad=True)
    out = layer(features, torch.zeros(0, 5))
    assert out.shape == (0, 3, 2, 2)
    out.sum().backward()
    for tensor in (features, *layer.parameters()):
        assert torch.equal(tensor.grad, torch.zeros_like(tensor))


@pytest.mark.parametrize('name', ['DeformRoIPoolPack', 'ModulatedDeformRoIPoolPack'])
def test_roi_extractors_know_the_layers(name):
    extractor = build_roi_extractor(
        dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type=name, output_size=2, output_channels=3, deform_fc_channels=4),
            out_channels=3,
            featmap_strides=[4, 8],
        )
    )
    feats = [torch.randn(2, 3, 16, 16), torch.randn(2, 3, 8, 8)]
    rois = torch.tensor([[0, 0.0, 0.0, 20.0, 20.0], [1, 0.0, 0.0, 200.0, 200.0]])
    assert extractor(feats, rois).shape == (2, 3, 2, 2)
    assert [layer.spatial_scale for layer in extractor.roi_layers] == [0.25, 0.125]
    assert all(not layer.offset_fc[-1].weight.any() for layer in extractor.roi_layers)


def test_bfloat16_keeps_the_dtype():
    features = torch.randn(2, 2, 8, 9)
    offset = torch.rand(3, 2, 2, 2)
    pool = DeformRoIPool(2, 0.25)
    out = pool(features.bfloat16(), ROIS, offset)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), pool(features.bfloat16().float(), ROIS, offset), rtol=0.02, atol=0.02)


def test_what_does_not_fit_is_refused():
    features = torch.zeros(1, 2, 4, 4)
    with pytest.raises(ValueError, match=r'expected offset \(3, 2, 2, 2\), got \(3, 2, 4\)'):
        deform_roi_pool(features, ROIS, torch.zeros(3, 2, 4), 2)
    with pytest.raises(ValueError, match='output_channels=3, got 2 channels'):
        DeformRoIPoolPack(2, output_channels=3)(features, ROIS)
    assert isinstance(ModulatedDeformRoIPoolPack(2, 3).mask_fc[-1], nn.Sigmoid)
