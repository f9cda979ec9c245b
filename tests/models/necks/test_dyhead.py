import pytest
import torch

from mmdet.models.necks.dyhead import DyHead, reread


def test_offsets_are_reread_in_the_coarser_size():
    values = torch.arange(16.0).view(1, 2, 2, 4)
    assert reread(values, torch.zeros(1, 5, 1, 2)).tolist() == [[[[0, 1]], [[2, 3]]]]


def test_dynamic_head_keeps_sizes_and_reaches_every_parameter():
    head = DyHead(16, 16, num_blocks=1)
    maps = head([torch.randn(2, 16, side, side) for side in (8, 4, 2)])
    assert [m.shape[-1] for m in maps] == [8, 4, 2]
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None for p in head.parameters())
    with pytest.raises(ValueError, match='init_cfg must be None'):
        DyHead(16, 16, init_cfg=dict(type='Normal'))
