import pytest
import torch

from mmdet.models.builder import NECKS

CFG = dict(
    type='DilatedEncoder', in_channels=8, out_channels=6, block_mid_channels=4, num_residual_blocks=2,
    block_dilations=[2, 4],
)  # fmt: skip


def test_last_map_becomes_one_level_that_sees_far():
    neck = NECKS.build(CFG).eval()
    for p in neck.parameters():
        p.data.abs_()  # no ReLU hides an input
    x = torch.rand(1, 8, 15, 15, requires_grad=True)
    (out,) = neck([torch.randn(1, 4, 30, 30), x])
    assert out.shape == (1, 6, 15, 15)
    seen = torch.autograd.grad(out[0, :, 7, 7].sum(), x)[0][0].abs().sum(0) > 0
    assert seen[7].nonzero().flatten().tolist() == list(range(15))  # 1 + 2 + 4 cells to each side
    assert seen[:, 7].all() and seen[0, 0]


def test_initial_values():
    neck = NECKS.build(CFG)
    neck.init_weights()
    assert neck.lateral_norm.weight.eq(1).all()
    convs = [m for m in neck.dilated_encoder_blocks.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convs) == 6
    assert all(0.003 < float(conv.weight.std()) < 0.03 for conv in convs)


def test_as_many_dilations_as_blocks():
    with pytest.raises(ValueError, match='block_dilations has 2 numbers for 3 blocks'):
        NECKS.build(CFG | dict(num_residual_blocks=3))
