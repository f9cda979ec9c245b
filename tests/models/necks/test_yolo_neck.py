import pytest
import torch

from mmdet.models.builder import NECKS

CFG = dict(type='YOLOV3Neck', num_scales=3, in_channels=[8, 6, 4], out_channels=[4, 3, 2])


def test_outputs_are_coarsest_first_and_finer_ones_see_coarser_inputs():
    neck = NECKS.build(CFG)
    feats = [torch.randn(2, c, s, s, requires_grad=True) for c, s in ((4, 8), (6, 4), (8, 2))]
    outs = neck(feats)
    assert [out.shape for out in outs] == [(2, 4, 2, 2), (2, 3, 4, 4), (2, 2, 8, 8)]
    seen = [
        [g is not None for g in torch.autograd.grad(out.sum(), feats, retain_graph=True, allow_unused=True)]
        for out in outs
    ]
    assert seen == [[False, False, True], [False, True, True], [True, True, True]]


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='num_scales=3, but 2 in_channels and 3 out_channels'):
        NECKS.build(CFG | dict(in_channels=[8, 6]))
    with pytest.raises(ValueError, match='YOLOV3Neck: expected 3 inputs, got 1'):
        NECKS.build(CFG)([torch.randn(1, 8, 2, 2)])
