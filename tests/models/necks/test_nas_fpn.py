import torch
from torch import nn

from mmdet.models.necks.nas_fpn import NASFPN, make_stage, run_stage

FINE = torch.arange(16.0).reshape(1, 1, 4, 4)


class Sum(nn.Module):
    """A merge cell that adds maps of one size."""

    def forward(self, first, second, out_size):
        assert tuple(out_size) == (1, 1)
        return first + second


def test_nas_fpn_stage_merges_levels_in_the_order_of_the_paper():
    cells = nn.ModuleDict({name: Sum() for name in make_stage(2, None)})
    levels = [torch.full((1, 1, 1, 1), 10.0**i) for i in range(5)]
    # gp 1000 + 10, + 10 = 1020; p3 1021; p4 1021 + 1020; p5 100 + (2041 + 1021); p7 10000 + (3162 + 1020); p6 both
    assert [x.item() for x in run_stage(cells, levels)] == [1021, 2041, 3162, 17344, 14182]


def test_nas_fpn_cells_have_the_names_of_checkpoints():
    stage = make_stage(2, dict(type='BN'))
    with_parameters = {key.split('.')[0] for key in stage.state_dict()}
    assert set(stage) - with_parameters == {'gp_43_5', 'gp_54_7'}
    assert with_parameters == {'gp_64_4', 'sum_44_4', 'sum_43_3', 'sum_34_4', 'sum_55_5', 'sum_77_7', 'gp_75_6'}
    assert tuple(stage['gp_75_6'].out_conv.bn.weight.shape) == (2,)


def test_nas_fpn_keeps_sizes_and_makes_extra_levels_by_pooling():
    neck = NASFPN([2, 3, 4, 5], 4, num_outs=5, stack_times=2, start_level=1, norm_cfg=dict(type='BN')).eval()
    inputs = tuple(torch.rand(1, c, s, s, requires_grad=True) for c, s in zip((2, 3, 4, 5), (64, 32, 16, 8)))
    outs = neck(inputs)
    assert [out.shape for out in outs] == [(1, 4, s, s) for s in (32, 16, 8, 4, 2)]
    sum(out.sum() for out in outs).backward()
    assert [x.grad is not None for x in inputs] == [False, True, True, True]
    assert all(p.grad is not None for p in neck.parameters())
    bare = NASFPN([1], 1, num_outs=5, stack_times=0)
    for module in bare.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
    assert [x.flatten().tolist() for x in bare((FINE.repeat(1, 1, 4, 4),))[3:]] == [[15.0] * 4, [15.0]]
