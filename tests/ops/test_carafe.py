"""CARAFE: against a loop over output cells, by gradcheck, and as an upsampling layer."""

import pytest
import torch
from mmcv.cnn import build_upsample_layer
from torch.autograd import gradcheck

from mmdet.ops import CARAFE, CARAFEPack, carafe
from mmdet.ops.carafe import predicted_kernels


def naive(features, masks, kernel_size, group_size, scale_factor):
    """The definition, one output value at a time."""
    n, c, h, w = features.shape
    out = features.new_zeros(n, c, h * scale_factor, w * scale_factor)
    reach, per_group = kernel_size // 2, c // group_size
    for image, channel, y, x in torch.cartesian_prod(*map(torch.arange, out.shape)).tolist():
        for i, j in torch.cartesian_prod(torch.arange(kernel_size), torch.arange(kernel_size)).tolist():
            row, column = y // scale_factor + i - reach, x // scale_factor + j - reach
            if 0 <= row < h and 0 <= column < w:
                weight = (channel // per_group * kernel_size + i) * kernel_size + j
                out[image, channel, y, x] += masks[image, weight, y, x] * features[image, channel, row, column]
    return out


@pytest.mark.parametrize(('kernel', 'groups', 'scale'), [(3, 1, 2), (5, 2, 1), (1, 4, 3)])
def test_equals_the_loop_over_cells(kernel, groups, scale):
    features, masks = torch.randn(2, 4, 3, 2), torch.randn(2, groups * kernel**2, 3 * scale, 2 * scale)
    out = carafe(features, masks, kernel, groups, scale)
    torch.testing.assert_close(out, naive(features, masks, kernel, groups, scale))
    torch.testing.assert_close(CARAFE(kernel, groups, scale)(features, masks), out)


def test_gradients():
    features = torch.randn(1, 4, 3, 3, dtype=torch.double, requires_grad=True)
    masks = torch.randn(1, 18, 6, 6, dtype=torch.double, requires_grad=True)
    assert gradcheck(lambda f, m: carafe(f, m, 3, 2, 2), (features, masks))


def test_predicted_kernels_are_weights_of_each_output_cell():
    encoded = torch.randn(2, 2 * 9 * 4, 3, 2)
    kernels = predicted_kernels(encoded, 3, 2, 2)
    assert kernels.shape == (2, 18, 6, 4)
    torch.testing.assert_close(kernels.view(2, 2, 9, 6, 4).sum(2), torch.ones(2, 2, 6, 4))
    raw = encoded[0].view(18, 2, 2, 3, 2)[:9, 1, 0, 2, 1]  # output cell (2 * 2 + 1, 2 * 1 + 0), first group
    torch.testing.assert_close(kernels[0, :9, 5, 2], raw.softmax(0))


def test_layer_starts_as_a_mean_over_the_kernel():
    layer = build_upsample_layer(dict(type='carafe', channels=3, scale_factor=2, up_kernel=3, compressed_channels=4))
    assert isinstance(layer, CARAFEPack)
    out = layer(torch.ones(1, 3, 4, 4))
    assert out.shape == (1, 3, 8, 8)
    torch.testing.assert_close(out[..., 2:-2, 2:-2], torch.ones(1, 3, 4, 4))
    torch.testing.assert_close(out[..., 0, 0], torch.full((1, 3), 4 / 9), rtol=0.02, atol=0)  # 5 of 9 cells outside


def test_layer_has_the_parameter_names_of_checkpoints():
    shapes = {k: tuple(v.shape) for k, v in CARAFEPack(8, 2, up_group=2, encoder_kernel=5).state_dict().items()}
    assert shapes == {
        'channel_compressor.weight': (64, 8, 1, 1),
        'channel_compressor.bias': (64,),
        'content_encoder.weight': (200, 64, 5, 5),
        'content_encoder.bias': (200,),
    }


def test_no_image_keeps_shape_and_graph():
    layer = CARAFEPack(4, 2)
    out = layer(torch.zeros(0, 4, 3, 3))
    assert out.shape == (0, 4, 6, 6)
    out.sum().backward()
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in layer.parameters())


def test_bfloat16_keeps_the_dtype():
    features, masks = torch.randn(1, 2, 3, 3), torch.randn(1, 9, 6, 6)
    out = carafe(features.bfloat16(), masks.bfloat16(), 3, 1, 2)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), carafe(features, masks, 3, 1, 2), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ('masks', 'settings', 'message'),
    [
        ((1, 9, 6, 5), (3, 1, 2), r'expected masks \(1, 9, 6, 6\), got \(1, 9, 6, 5\)'),
        ((1, 9, 6, 6), (4, 1, 2), 'kernel_size must be odd'),
        ((1, 27, 6, 6), (3, 3, 2), 'a multiple of group_size=3'),
    ],
)
def test_what_does_not_fit_is_refused(masks, settings, message):
    with pytest.raises(ValueError, match=message):
        carafe(torch.zeros(1, 4, 3, 3), torch.zeros(masks), *settings)
