import pytest
import torch

from mmdet.models.builder import NECKS


def test_sizes_and_channels():
    for depthwise in (False, True):
        neck = NECKS.build(
            dict(type='YOLOXPAFPN', in_channels=[4, 8, 16], out_channels=6, num_csp_blocks=1, use_depthwise=depthwise)
        )
        outs = neck([torch.randn(2, c, s, 2 * s) for c, s in ((4, 8), (8, 4), (16, 2))])
        assert [out.shape for out in outs] == [(2, 6, 8, 16), (2, 6, 4, 8), (2, 6, 2, 4)]
        assert type(neck.downsamples[0]).__name__ == ('DepthwiseSeparableConvModule' if depthwise else 'ConvModule')


def test_every_output_sees_every_input():
    neck = NECKS.build(dict(type='YOLOXPAFPN', in_channels=[4, 8, 16], out_channels=4, num_csp_blocks=1)).eval()
    feats = [torch.randn(1, c, s, s, requires_grad=True) for c, s in ((4, 8), (8, 4), (16, 2))]
    for out in neck(feats):
        assert all(grad.any() for grad in torch.autograd.grad(out.sum(), feats, retain_graph=True))


def test_other_number_of_inputs_is_refused():
    neck = NECKS.build(dict(type='YOLOXPAFPN', in_channels=[4, 8], out_channels=4))
    with pytest.raises(ValueError, match='YOLOXPAFPN: expected 2 inputs, got 1'):
        neck([torch.randn(1, 4, 8, 8)])
