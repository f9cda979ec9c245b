import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.swish import Swish as TwoKernelSwish

from mmdet.ops import Swish


def test_configs_get_the_layer_of_one_kernel_which_is_an_instance_of_mmcvs():
    layer = ConvModule(3, 4, 1, act_cfg=dict(type='Swish')).activate
    assert type(layer) is Swish and isinstance(layer, TwoKernelSwish)


def test_values_and_gradients_are_those_of_the_product():
    x = torch.linspace(-30, 30, 61, requires_grad=True)
    one, two = Swish()(x), TwoKernelSwish()(x)
    torch.testing.assert_close(one, two)
    grads = [torch.autograd.grad(out.sum(), x)[0] for out in (one, two)]
    torch.testing.assert_close(*grads)
    assert Swish()(torch.tensor([0.0, 1])).tolist() == [0, torch.tensor(1.0).sigmoid().item()]
