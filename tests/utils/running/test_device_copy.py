"""Numbers of the host as tensors of a device."""

import numpy as np
import pytest
import torch

from mmdet.utils.running.device_copy import send, tensor_like, to_device
from mmdet.utils.running.host_syncs import count_host_syncs


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.long, torch.bool])
@pytest.mark.parametrize('values', [[[1, 0], [3, 2]], [], 0.1, (0.1, 2 / 3), np.array([0.1, 2.5], np.float32)])
def test_the_values_are_those_of_new_tensor_and_no_copy_is_waited_for(values, dtype):
    like = torch.zeros(2, dtype=dtype)
    wanted = like.new_tensor(values)
    with count_host_syncs() as syncs:
        got = tensor_like(values, like)
    assert got.dtype == dtype and torch.equal(got, wanted) and not syncs
    assert torch.equal(to_device(values, dtype, like.device), wanted)


def test_tensors_are_taken_too():
    got = tensor_like(torch.tensor([1, 2]), torch.zeros(1))
    assert got.dtype == torch.float32 and got.tolist() == [1, 2]


def test_a_tensor_that_is_sent_is_page_locked_for_a_gpu_alone(monkeypatch):
    sent, kept = [], torch.arange(3)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: sent.append(tensor) or tensor)
    assert torch.equal(send(kept, 'cpu'), kept) and not sent
    monkeypatch.setattr(torch.Tensor, 'to', lambda tensor, device, non_blocking: (device, non_blocking))
    assert send(kept, 'cuda:0') == ('cuda:0', True) and sent[0] is kept
