import pytest
import torch

from mmdet.models.builder import NECKS

CFG = dict(
    type='NASFCOS_FPN', in_channels=[4, 6, 8, 10], out_channels=4, num_outs=5, norm_cfg=dict(type='BN'),
    conv_cfg=dict(type='DCNv2', deform_groups=2), add_extra_convs=True,
)  # fmt: skip


def test_outputs_have_the_sizes_of_the_inputs_and_see_what_their_cells_join():
    neck = NECKS.build(CFG)
    neck.init_weights()
    feats = [torch.randn(2, c, s, s + 1, requires_grad=True) for c, s in ((4, 32), (6, 16), (8, 8), (10, 4))]
    outs = neck(feats)
    assert [tuple(out.shape) for out in outs] == [
        (2, 4, 16, 17), (2, 4, 8, 9), (2, 4, 4, 5), (2, 4, 2, 3), (2, 4, 1, 2)
    ]  # fmt: skip
    seen = []
    for out in outs:
        grads = torch.autograd.grad(out.square().sum(), feats, retain_graph=True, allow_unused=True)
        seen.append([i for i, grad in enumerate(grads) if grad is not None and grad.any()])
    assert seen == [[1, 2, 3], [1, 3], [3], [3], [3]]  # by the paths of the searched cells


def test_cells_join_three_inputs():
    with pytest.raises(ValueError, match='join 3 inputs, but 4 are in use'):
        NECKS.build(CFG | dict(start_level=0))
