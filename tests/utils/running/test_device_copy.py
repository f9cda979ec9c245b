"""Numbers of the host as tensors of a device."""

import numpy as np
import pytest
import torch

from mmdet.utils.running.device_copy import tensor_like, to_device
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
