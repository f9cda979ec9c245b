import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS


def build(**kwargs):
    torch.manual_seed(0)
    return HEADS.build(dict(CASES['NASFCOSHead'], type='NASFCOSHead') | kwargs)


def test_towers_are_the_searched_ones():
    head = build()
    for tower in (head.cls_convs, head.reg_convs):
        kinds = [(type(layer.conv).__name__, layer.conv.kernel_size[0], layer.conv.bias is None) for layer in tower]
        deformable = ('ModulatedDeformConv2dPack', 3, False)
        assert kinds == [deformable, ('Conv2d', 3, True), deformable, ('Conv2d', 1, True)]
    assert head.cls_convs[0].conv.deform_groups == 2
    assert head.cls_convs[0] is not head.reg_convs[0]


def test_classes_start_at_a_small_probability():
    head = build()
    head.init_weights()
    torch.testing.assert_close(head.conv_cls.bias.sigmoid(), torch.full((3,), 0.01))
    assert 0.005 < head.conv_reg.weight.std() < 0.02
    assert head.cls_convs[1].conv.weight.std() > 0.1  # Xavier
