import torch

from mmdet.models.necks.channel_mapper import ChannelMapper


def test_channel_mapper_makes_further_levels_from_the_last_input():
    neck = ChannelMapper([2, 3], 4, kernel_size=1, num_outs=4)
    outs = neck((torch.rand(1, 2, 8, 8), torch.rand(1, 3, 4, 4)))
    assert [out.shape for out in outs] == [(1, 4, 8, 8), (1, 4, 4, 4), (1, 4, 2, 2), (1, 4, 1, 1)]
    assert [conv.conv.in_channels for conv in neck.extra_convs] == [3, 4]
    assert ChannelMapper([2, 3], 4).extra_convs is None
