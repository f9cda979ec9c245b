import torch
from other_necks_cases import FINE, all_identities
from torch import nn

from mmdet.models.necks.hrfpn import HRFPN


def test_hrfpn_joins_at_the_finest_and_pools():
    neck = HRFPN([1, 1], 1, num_outs=3)
    all_identities(neck.fpn_convs)
    nn.init.constant_(neck.reduction_conv.conv.weight, 1)
    outs = neck((FINE, torch.full((1, 1, 2, 2), 100.0)))
    assert torch.equal(outs[0], FINE + 100)
    assert outs[1][0, 0].tolist() == [[102.5, 104.5], [110.5, 112.5]]
    assert outs[2].flatten().tolist() == [107.5]
    assert HRFPN([1, 1], 1, num_outs=3, pooling_type='MAX').pooling(FINE, 4).item() == 15
