"""Pinned memory reaches the tensors in data containers."""

import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer as DC
from torch.utils.data._utils.pin_memory import pin_memory

from mmdet.datasets.builder import build_dataloader
from mmdet.utils.running.parallel import unpack


class Images(torch.utils.data.Dataset):
    flag = np.zeros(2, np.uint8)

    def __len__(self):
        return 2

    def __getitem__(self, idx):
        return dict(
            img=DC(torch.full((3, 4, 4 + idx), idx), stack=True, padding_value=9),
            gt_bboxes=[DC(torch.zeros(idx, 4))],
            img_metas=DC(dict(numbers=torch.tensor([idx])), cpu_only=True),
        )


@pytest.fixture
def pinned(monkeypatch):
    """Ids of the tensors that were asked into pinned memory; there is none without a GPU."""
    seen = []
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: seen.append(self) or self.clone())
    return seen


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.filterwarnings('ignore:.*pin_memory')
def test_containers_of_a_pinned_loader_are_pinned_and_stay_what_they_are(pinned, workers):
    plain, loader = (
        build_dataloader(Images(), 2, workers, dist=False, shuffle=False, pin_memory=on) for on in (False, True)
    )
    want, batch = next(iter(plain)), pin_memory(next(iter(loader)))
    assert {tuple(tensor.shape) for tensor in pinned} == {(0, 4), (1, 4), (2, 3, 4, 5)}
    assert batch['img'].padding_value == 9 and batch['img'].stack and batch['img_metas'].cpu_only
    got, want = unpack(batch), unpack(want)
    assert torch.equal(got['img'], want['img']) and got['img_metas'] == want['img_metas']
    assert [boxes.shape for boxes in got['gt_bboxes'][0]] == [(0, 4), (1, 4)]
