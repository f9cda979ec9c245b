"""Exchange between processes: alone, and in two gloo processes."""

import pickle

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmdet.core.utils import DistOptimizerHook, all_reduce_dict, allreduce_grads, reduce_mean, sync_random_seed
from mmdet.core.utils.dist_utils import _get_global_gloo_group, _size_buckets, obj2tensor, tensor2obj


def test_alone_nothing_changes():
    tensor, losses = torch.tensor([3.0]), dict(a=torch.ones(2))
    assert reduce_mean(tensor) is tensor
    assert all_reduce_dict(losses) is losses
    assert sync_random_seed(7) == 7
    np.random.seed(3)
    drawn = sync_random_seed()
    np.random.seed(3)
    assert sync_random_seed() == drawn
    with pytest.raises(ValueError, match="op must be 'sum' or 'mean', got 'max'"):
        all_reduce_dict(losses, op='max')


def test_objects_survive_the_way_through_a_tensor():
    thing = dict(names=['a', 'b'], size=3)
    assert tensor2obj(obj2tensor(thing)) == thing
    assert obj2tensor(thing, device='cpu').numel() == len(pickle.dumps(thing))


def test_buckets_keep_dtypes_apart_and_sizes_below_the_limit():
    tensors = [torch.zeros(4), torch.zeros(4, dtype=torch.double), torch.zeros(4), torch.zeros(9)]
    buckets = _size_buckets(tensors, limit=32)
    assert [[t.numel() for t in bucket] for bucket in buckets] == [[4, 4], [4], [9]]
    assert [b[0].dtype for b in buckets] == [torch.float32, torch.float64, torch.float32]


def test_old_optimizer_hook_warns():
    with pytest.warns(DeprecationWarning, match='use OptimizerHook'):
        assert DistOptimizerHook(grad_clip=dict(max_norm=1)).grad_clip == dict(max_norm=1)


def _check_exchange(rank: int, store: str) -> None:
    dist.init_process_group('gloo', f'file://{store}', rank=rank, world_size=2)
    tensor = torch.tensor([1.0 + 2 * rank], requires_grad=True)
    assert reduce_mean(tensor).tolist() == [2] and tensor.item() == 1 + 2 * rank
    values = dict(a=torch.tensor([1.0, rank]), b=torch.tensor(rank))
    values = values if rank == 0 else dict(reversed(values.items()))  # another order, the same names
    assert {k: v.tolist() for k, v in all_reduce_dict(values).items()} == dict(a=[2, 1], b=1)
    assert {k: v.tolist() for k, v in all_reduce_dict(values, 'mean').items()} == dict(a=[1, 0.5], b=0.5)
    for coalesce, size in ((True, -1), (True, 1), (False, -1)):
        params = [torch.nn.Parameter(torch.zeros(n)) for n in (3, 2, 1)]
        for i, param in enumerate(params[:2]):
            param.grad = torch.full_like(param, float(i + rank))
        allreduce_grads(params, coalesce, size)
        assert [p.grad.tolist() for p in params[:2]] == [[0.5] * 3, [1.5] * 2] and params[2].grad is None
    assert sync_random_seed(5 + rank) == 5
    assert _get_global_gloo_group() is dist.group.WORLD
    with pytest.raises(ValueError, match=r"differ in the names \['c'\]"):
        all_reduce_dict(values if rank == 0 else dict(values, c=torch.ones(1)))
    dist.barrier()  # neither leaves while the other still talks to it
    dist.destroy_process_group()


def test_two_processes_agree(tmp_path):
    # fork: nothing is imported again, and no CUDA is used
    mp.start_processes(_check_exchange, args=(str(tmp_path / 'store'),), nprocs=2, start_method='fork')
