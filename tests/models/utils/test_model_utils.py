import pytest
import torch
from torch import nn

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.brick_wrappers import AdaptiveAvgPool2d, adaptive_avg_pool2d
from mmdet.models.utils.builder import build_linear_layer
from mmdet.models.utils.conv_upsample import ConvUpsample
from mmdet.models.utils.csp_layer import CSPLayer, DarknetBottleneck
from mmdet.models.utils.inverted_residual import InvertedResidual
from mmdet.models.utils.make_divisible import make_divisible
from mmdet.models.utils.misc import interpolate_as, sigmoid_geometric_mean
from mmdet.models.utils.normed_predictor import NormedConv2d, NormedLinear
from mmdet.models.utils.res_layer import ResLayer, SimplifiedBasicBlock
from mmdet.models.utils.se_layer import DyReLU, SELayer


@pytest.mark.parametrize(
    ('value', 'divisor', 'kwargs', 'want'),
    [
        (33, 8, {}, 32),
        (36, 8, {}, 40),
        (3, 8, {}, 8),
        (3, 8, dict(min_value=16), 16),
        (11, 8, dict(min_ratio=0.7), 8),
        (11, 8, {}, 16),
    ],
)
def test_make_divisible_rounds_but_not_far_down(value, divisor, kwargs, want):
    assert make_divisible(value, divisor, **kwargs) == want


def test_adaptive_avg_pool_averages_and_takes_empty_batches():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert adaptive_avg_pool2d(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert AdaptiveAvgPool2d((1, None))(x[:0]).shape == (0, 1, 1, 4)


def test_se_layer_scales_channels_by_their_gates():
    layer = SELayer(2, ratio=2)
    nn.init.zeros_(layer.conv2.conv.weight)
    layer.conv2.conv.bias.data = torch.tensor([0.0, 100.0])
    x = torch.rand(1, 2, 3, 3)
    assert torch.allclose(layer(x), x * torch.tensor([0.5, 1.0]).reshape(1, 2, 1, 1))


def test_se_layer_refuses_three_activations():
    with pytest.raises(ValueError, match='act_cfg: expected one config, or a tuple of two'):
        SELayer(4, act_cfg=(dict(type='ReLU'),) * 3)


def test_dyrelu_with_half_coefficients_is_relu():
    layer = DyReLU(4, ratio=2)
    nn.init.zeros_(layer.conv2.conv.weight)
    nn.init.zeros_(layer.conv2.conv.bias)
    x = torch.randn(2, 4, 3, 3)
    assert torch.allclose(layer(x), x.relu())


def test_dyrelu_coefficients_are_slope_offset_slope_offset():
    layer = DyReLU(1, ratio=1)
    nn.init.zeros_(layer.conv2.conv.weight)
    layer.conv2.conv.bias.data = torch.tensor([9.0, 9.0, 9.0, -9.0])  # hard sigmoids 1, 1, 1, 0
    x = torch.tensor([-4.0, 0.0, 4.0]).reshape(1, 1, 1, 3)
    assert layer(x).flatten().tolist() == [-4.5, 0.5, 8.5]  # max(2 x + 0.5, x - 0.5)


@pytest.mark.parametrize(('stride', 'out_channels', 'shortcut'), [(1, 4, True), (2, 4, False), (1, 6, False)])
def test_inverted_residual_has_a_shortcut_where_shapes_agree(stride, out_channels, shortcut):
    block = InvertedResidual(4, out_channels, 8, stride=stride).eval()
    nn.init.zeros_(block.linear_conv.bn.weight)
    x = torch.rand(1, 4, 8, 8)
    out = block(x)
    assert out.shape == (1, out_channels, 8 // stride, 8 // stride)
    assert torch.equal(out, x) if shortcut else torch.count_nonzero(out) == 0


def test_inverted_residual_options():
    block = InvertedResidual(4, 4, 4, with_expand_conv=False, se_cfg=dict(channels=4, ratio=2), drop_path_rate=0.5)
    assert not hasattr(block, 'expand_conv') and block.with_se and block.drop_path.drop_prob == 0.5
    with pytest.raises(ValueError, match='mid_channels=8 must equal in_channels=4'):
        InvertedResidual(4, 4, 8, with_expand_conv=False)
    with pytest.raises(ValueError, match='stride: expected 1 or 2, got 3'):
        InvertedResidual(4, 4, 8, stride=3)


def test_csp_layer_joins_main_and_short_branch():
    layer = CSPLayer(4, 6, num_blocks=2, use_depthwise=True).eval()
    assert layer(torch.rand(1, 4, 5, 5)).shape == (1, 6, 5, 5)
    assert layer.final_conv.conv.in_channels == 6 and len(layer.blocks) == 2
    assert [DarknetBottleneck(4, c, add_identity=a).add_identity for c, a in ((4, 1), (4, 0), (6, 1))] == [1, 0, 0]


def test_conv_upsample_doubles_after_the_first_convolutions():
    layer = ConvUpsample(2, 3, num_layers=3, num_upsample=1)
    assert layer(torch.rand(1, 2, 4, 6)).shape == (1, 3, 8, 12)
    assert ConvUpsample(2, 3, num_layers=2)(torch.rand(1, 2, 4, 6)).shape == (1, 3, 16, 24)
    with pytest.raises(ValueError, match='num_upsample=2 is more than num_layers=1'):
        ConvUpsample(2, 3, num_upsample=2)


def test_sigmoid_geometric_mean_is_right_and_differentiable():
    x, y = torch.randn(2, 5, dtype=torch.double).requires_grad_()
    assert torch.allclose(sigmoid_geometric_mean(x, y) ** 2, x.sigmoid() * y.sigmoid())
    torch.autograd.gradcheck(sigmoid_geometric_mean, (x, y))


def test_sigmoid_geometric_mean_has_finite_gradients_at_zero():
    x, y = torch.tensor([-1000.0], requires_grad=True), torch.tensor([0.0], requires_grad=True)
    sigmoid_geometric_mean(x, y).sum().backward()
    assert x.grad.tolist() == [0] and y.grad.tolist() == [0]


def test_interpolate_as_takes_the_size_of_the_target():
    source = torch.rand(2, 3, 4, 4)
    assert interpolate_as(source, torch.rand(7, 8, 8)).shape == (2, 3, 8, 8)
    assert interpolate_as(source[0], torch.rand(8, 6)).shape == (3, 8, 6)
    assert interpolate_as(source, torch.rand(4, 4)) is source
    with pytest.raises(ValueError, match='target: expected'):
        interpolate_as(source, torch.rand(4))


def test_normed_linear_is_a_scaled_cosine():
    layer = build_linear_layer(dict(type='NormedLinear', tempearture=10), in_features=2, out_features=2)
    layer.weight.data = torch.tensor([[3.0, 0.0], [5.0, 5.0]])
    out = layer(torch.tensor([[0.0, 7.0], [0.0, 0.0]]))
    assert isinstance(layer, NormedLinear)
    assert torch.allclose(out, torch.tensor([[0, 50**0.5], [0, 0]]), atol=1e-4)


@pytest.mark.parametrize(('over_kernel', 'want'), [(False, 10 * 9), (True, 10 * 3)])
def test_normed_conv_normalises_weights_over_channels_or_kernel(over_kernel, want):
    layer = NormedConv2d(1, 1, 3, tempearture=10, norm_over_kernel=over_kernel, bias=False)
    layer.weight.data.fill_(4)
    assert layer(torch.full((1, 1, 3, 3), 6.0)).item() == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize('downsample_first', [True, False])
def test_res_layer_strides_in_its_first_or_last_block(downsample_first):
    layer = ResLayer(SimplifiedBasicBlock, 4, 8, 3, stride=2, downsample_first=downsample_first)
    assert [block.stride for block in layer] == ([2, 1, 1] if downsample_first else [1, 1, 2])
    assert [block.downsample is not None for block in layer] == [s == 2 for s in (block.stride for block in layer)]
    assert [b.conv1.in_channels for b in layer] == ([4, 8, 8] if downsample_first else [4, 4, 4])
    assert [b.conv2.out_channels for b in layer] == ([8, 8, 8] if downsample_first else [4, 4, 8])


def test_simplified_basic_block_without_norm_is_not_rectified():
    block = SimplifiedBasicBlock(1, 1, norm_cfg=None)
    for conv in (block.conv1, block.conv2):
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    assert block(torch.tensor([[[[-3.0, 2.0]]]])).flatten().tolist() == [-3, 4]
    assert block.norm1 is None and block.norm2 is None
    with pytest.raises(ValueError, match='SimplifiedBasicBlock'):
        SimplifiedBasicBlock(1, 1, plugins=[dict()])
