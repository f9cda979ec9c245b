import pytest
import torch

from mmdet.utils import AvoidOOM
from mmdet.utils.memory import cast_tensor_type


def test_third_try_runs_on_the_cpu_and_restores_nothing_but_the_value():
    calls = []

    def twice(x):
        calls.append(x.dtype)
        if x.dtype == torch.half:
            raise torch.cuda.OutOfMemoryError('too big')
        return x * 2

    got = AvoidOOM(test=True).retry_if_cuda_oom(twice)(torch.ones(2))
    assert calls == [torch.half, torch.float32] and got.tolist() == [2, 2] and got.dtype == torch.float32


def test_second_try_casts_back_and_other_errors_pass_through():
    got = AvoidOOM(test=True).retry_if_cuda_oom(lambda x: x + 1)(torch.ones(1))
    assert got.dtype == torch.float32 and got.item() == 2
    with pytest.raises(ZeroDivisionError):
        AvoidOOM().retry_if_cuda_oom(lambda: 1 / 0)()


def test_cast_tensor_type_goes_into_containers_and_respects_the_source():
    got = cast_tensor_type({'a': [torch.ones(1), torch.ones(1).long()], 'b': 'x'}, torch.float32, torch.half)
    assert [t.dtype for t in got['a']] == [torch.half, torch.int64] and got['b'] == 'x'
    with pytest.raises(ValueError, match='dst_type'):
        cast_tensor_type(torch.ones(1))
