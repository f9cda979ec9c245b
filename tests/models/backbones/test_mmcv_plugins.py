"""What backbones take from mmcv without its compiled operators: attention plugins and standardised convolutions."""

import pytest
import torch
from mmcv.cnn import build_conv_layer
from torch import nn

from mmdet.models.backbones.resnet import ResNet

CONTEXT = dict(type='ContextBlock', ratio=1 / 4)
ATTENTION = dict(type='GeneralizedAttention', spatial_range=-1, num_heads=2, attention_type='1111', kv_stride=2)


@pytest.mark.parametrize('cfg', [CONTEXT, ATTENTION], ids=['context', 'attention'])
def test_attention_plugins_are_identities_until_their_last_layer_learns(cfg):
    plugins = [dict(cfg=cfg, stages=(False, True, False, False), position='after_conv2')]
    net, plain = ResNet(50, base_channels=16, plugins=plugins).eval(), ResNet(50, base_channels=16).eval()
    assert not net.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    last = {'ContextBlock': 'channel_add_conv.3.weight', 'GeneralizedAttention': 'gamma'}[cfg['type']]
    params = [p for name, p in net.named_parameters() if name.endswith(last)]
    assert len(params) == 4
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(net(x), plain(x)))
        nn.init.ones_(params[0])
        assert not torch.allclose(net(x)[1], plain(x)[1], atol=1e-3)


@pytest.mark.parametrize('kind', ['ConvWS', 'ConvAWS'])
def test_standardised_convolutions_do_not_see_shift_and_scale_of_their_weights(kind):
    conv = build_conv_layer(dict(type=kind), 3, 4, 3)
    x = torch.randn(1, 3, 5, 5)
    out = conv(x)
    conv.weight.data.mul_(10).add_(1)
    torch.testing.assert_close(conv(x), out, rtol=1e-2, atol=1e-2)
    assert not torch.allclose(nn.functional.conv2d(x, conv.weight, conv.bias), out, atol=1)
