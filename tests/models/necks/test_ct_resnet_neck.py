import pytest
import torch
from torch.nn import functional

from mmdet.models.builder import NECKS
from mmdet.models.necks.ct_resnet_neck import bilinear_kernel

CFG = dict(type='CTResNetNeck', in_channel=8, num_deconv_filters=(6, 4), num_deconv_kernels=(4, 4))


@pytest.mark.parametrize('use_dcn', [False, True])
def test_last_map_becomes_four_times_as_large(use_dcn):
    neck = NECKS.build(CFG | dict(use_dcn=use_dcn))
    neck.init_weights()
    (out,) = neck([torch.randn(2, 3, 8, 8), torch.randn(2, 8, 4, 3)])
    assert out.shape == (2, 4, 16, 12)
    assert (type(neck.deconv_layers[0].conv).__name__ == 'ModulatedDeformConv2dPack') == use_dcn


def test_first_kernels_interpolate():
    kernel = bilinear_kernel((4, 4))
    assert kernel[1].tolist() == [0.1875, 0.5625, 0.5625, 0.1875]
    x = torch.arange(5.0).expand(1, 1, 5, 5)
    out = functional.conv_transpose2d(x, kernel[None, None], stride=2, padding=1)[0, 0]
    assert out[4, 2:8].tolist() == [0.75, 1.25, 1.75, 2.25, 2.75, 3.25]
    neck = NECKS.build(CFG)
    neck.init_weights()
    assert neck.deconv_layers[1].conv.weight[:, 0].eq(kernel).all()
    assert not neck.deconv_layers[1].conv.weight[:, 1].eq(kernel).all()


def test_as_many_kernels_as_filters():
    with pytest.raises(ValueError, match='2 num_deconv_filters, but 1 num_deconv_kernels'):
        NECKS.build(CFG | dict(num_deconv_kernels=(4,)))
