import torch

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.csp_layer import CSPLayer, DarknetBottleneck


def test_csp_layer_joins_main_and_short_branch():
    layer = CSPLayer(4, 6, num_blocks=2, use_depthwise=True).eval()
    assert layer(torch.rand(1, 4, 5, 5)).shape == (1, 6, 5, 5)
    assert layer.final_conv.conv.in_channels == 6 and len(layer.blocks) == 2
    assert [DarknetBottleneck(4, c, add_identity=a).add_identity for c, a in ((4, 1), (4, 0), (6, 1))] == [1, 0, 0]
