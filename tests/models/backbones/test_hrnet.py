import copy

import pytest
import torch

from mmdet.models.backbones.hrnet import HRModule, HRNet
from mmdet.models.backbones.layers.resnet_blocks import BasicBlock


def stage(branches, block='BASIC', modules=1):
    return dict(
        num_modules=modules,
        num_branches=branches,
        block=block,
        num_blocks=(1,) * branches,
        num_channels=tuple(4 * 2**i for i in range(branches)),
    )


EXTRA = dict(stage1=stage(1, 'BOTTLENECK'), stage2=stage(2), stage3=stage(3, modules=2), stage4=stage(4))


def test_hrnet_branches_have_stride_4_to_32():
    before = copy.deepcopy(EXTRA)
    outs = HRNet(EXTRA).eval()(torch.rand(1, 3, 64, 64))
    assert [out.shape[1:] for out in outs] == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
    assert before == EXTRA


def test_hrnet_without_multiscale_output_gives_the_finest_branch():
    outs = HRNet(EXTRA, multiscale_output=False).eval()(torch.rand(1, 3, 64, 64))
    assert [out.shape[1:] for out in outs] == [(4, 16, 16)]


def test_hrnet_norm_eval_and_zero_init():
    net = HRNet(EXTRA, zero_init_residual=True)
    net.init_weights()
    assert torch.count_nonzero(net.layer1[0].bn3.weight) == 0
    assert not net.train().bn1.training
    assert HRNet(EXTRA, norm_eval=False).train().bn1.training


def test_hr_module_sums_resized_branches():
    module = HRModule(2, BasicBlock, (1, 1), (1, 1), (1, 1)).eval()
    for parameter in module.branches.parameters():
        torch.nn.init.zeros_(parameter)  # blocks pass positive maps on
    up, down = module.fuse_layers[0][1], module.fuse_layers[1][0]
    torch.nn.init.constant_(up[0].weight, 10)
    torch.nn.init.dirac_(down[0][0].weight)
    fine, coarse = torch.arange(16.0).reshape(1, 1, 4, 4), torch.ones(1, 1, 2, 2)
    outs = module([fine, coarse])
    assert torch.allclose(outs[0], fine + 10, atol=1e-3)
    assert torch.allclose(outs[1], fine[..., ::2, ::2] + 1, atol=1e-3)


def test_hr_module_cuts_an_enlarged_map_that_was_rounded_up():
    module = HRModule(2, BasicBlock, (1, 1), (1, 1), (1, 1)).eval()
    for parameter in module.branches.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(module.fuse_layers[0][1][0].weight, 10)
    coarse = torch.tensor([[[[1.0, 2], [3, 4]]]])  # of a map of 3 x 3
    fine = module([torch.zeros(1, 1, 3, 3), coarse])[0]
    want = torch.tensor([[[[10.0, 10, 20], [10, 10, 20], [30, 30, 40]]]])
    assert torch.allclose(fine, want, atol=1e-3)


def test_hrnet_refuses_incomplete_descriptions():
    with pytest.raises(KeyError, match=r"extra\['stage4'\] of HRNet lacks"):
        HRNet({k: v for k, v in EXTRA.items() if k != 'stage4'})
    with pytest.raises(ValueError, match='num_blocks: expected num_branches=2 entries'):
        HRNet(dict(EXTRA, stage2=dict(stage(2), num_blocks=(1,))))
