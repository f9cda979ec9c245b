import pytest
import torch

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.builder import build_linear_layer
from mmdet.models.utils.normed_predictor import NormedConv2d, NormedLinear


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
