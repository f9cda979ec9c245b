"""Reductions and broadcasts between the processes of a run; each does nothing in a single process."""

import functools
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
import torch.distributed as dist
from mmcv.runner import OptimizerHook, get_dist_info
from torch import Tensor

_MIB = 1024 * 1024


def _comm_device(wanted: str | torch.device = 'cuda') -> torch.device:
    """Where tensors must lie to be sent: the backend decides, ``wanted`` only where it leaves the choice.

    The public signatures say ``device='cuda'``; a gloo run on CPUs must work with that default.
    """
    if dist.is_available() and dist.is_initialized():
        return torch.device('cuda' if dist.get_backend() == dist.Backend.NCCL else 'cpu')
    wanted = torch.device(wanted)
    return wanted if wanted.type != 'cuda' or torch.cuda.is_available() else torch.device('cpu')


def _size_buckets(tensors: Sequence[Tensor], limit: float) -> list[list[Tensor]]:
    """Split into runs of equal dtype and device, each of at most ``limit`` bytes (one tensor at least)."""
    buckets: list[list[Tensor]] = []
    open_buckets: dict[tuple, tuple[list[Tensor], int]] = {}
    for tensor in tensors:
        key = (tensor.dtype, tensor.device)
        size = tensor.numel() * tensor.element_size()
        bucket, used = open_buckets.get(key, (None, 0))
        if bucket is None or used + size > limit:
            bucket, used = [], 0
            buckets.append(bucket)
        bucket.append(tensor)
        open_buckets[key] = (bucket, used + size)
    return buckets


def average_tensors(tensors: Sequence[Tensor], bucket_size_mb: float = -1) -> None:
    """Replace every float tensor by its mean over the processes, in one message for each type.

    Args:
        tensors: of the same number and shapes in all processes.
        bucket_size_mb: greatest size of one message in MiB; -1: no limit.
    """
    _, world_size = get_dist_info()
    if world_size == 1:
        return
    limit = bucket_size_mb * _MIB if bucket_size_mb > 0 else float('inf')
    for bucket in _size_buckets(tensors, limit):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        dist.all_reduce(flat)
        flat.div_(world_size)
        for tensor, part in zip(bucket, flat.split([t.numel() for t in bucket])):
            tensor.copy_(part.view_as(tensor))


def allreduce_grads(params: Iterable[torch.nn.Parameter], coalesce: bool = True, bucket_size_mb: float = -1) -> None:
    """Replace every gradient by its mean over the processes.

    Args:
        params: parameters; those without a gradient are passed over.
        coalesce: send many gradients in one message.
        bucket_size_mb: greatest size of one such message in MiB; -1: no limit.
    """
    _, world_size = get_dist_info()
    if world_size == 1:
        return
    grads = [p.grad.detach() for p in params if p.requires_grad and p.grad is not None]
    if coalesce:
        average_tensors(grads, bucket_size_mb)
    else:
        for grad in grads:
            dist.all_reduce(grad.div_(world_size))


class DistOptimizerHook(OptimizerHook):
    """Old name of mmcv's ``OptimizerHook``; gradients are averaged by DistributedDataParallel."""

    def __init__(self, *args, **kwargs) -> None:
        warnings.warn('DistOptimizerHook is deprecated; use OptimizerHook', DeprecationWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


def reduce_mean(tensor: Tensor) -> Tensor:
    """Mean of a float tensor over the processes; the tensor itself where there is one process.

    The input stays as it is, and no gradient flows through the exchange.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    # divided first, so that the sum of many processes cannot overflow
    mean = tensor.detach().clone().div_(dist.get_world_size())
    dist.all_reduce(mean)
    return mean


def obj2tensor(pyobj: object, device: str | torch.device = 'cuda') -> Tensor:
    """Pickle a Python object into a byte tensor that the processes can exchange."""
    data = np.frombuffer(pickle.dumps(pyobj), dtype=np.uint8).copy()
    return torch.from_numpy(data).to(_comm_device(device))


def tensor2obj(tensor: Tensor) -> object:
    """The object that :func:`obj2tensor` packed; only for tensors from the own run's processes (it unpickles)."""
    return pickle.loads(tensor.cpu().numpy().tobytes())


# kept: all processes must take part in making a group, and each call would make another one
@functools.lru_cache
def _get_global_gloo_group() -> dist.ProcessGroup | None:
    """A group of all processes that can exchange CPU data, whatever the main backend is; None: that of the main one."""
    if dist.get_backend() == dist.Backend.NCCL:
        return cast(dist.ProcessGroup, dist.new_group(backend='gloo'))
    return dist.group.WORLD


def all_reduce_dict(
    py_dict: dict[str, Tensor], op: str = 'sum', group: dist.ProcessGroup | None = None, to_float: bool = True
) -> dict[str, Tensor]:
    """Sum or mean over the processes of each tensor in a dict, all in one message.

    Args:
        py_dict: name to tensor; every process has the same names and shapes.
        op: ``'sum'`` or ``'mean'``.
        group: processes that take part; default all.
        to_float: send everything as float32; otherwise the dtypes must be equal.

    Returns:
        An ordered dict with the names and shapes of ``py_dict``; ``py_dict`` itself in a single process.

    Raises:
        ValueError: ``op`` is unknown, or the names differ between the processes.
    """
    if op not in ('sum', 'mean'):
        raise ValueError(f"all_reduce_dict: op must be 'sum' or 'mean', got {op!r}")
    _, world_size = get_dist_info()
    if world_size == 1:
        return py_dict
    keys = _same_keys(list(py_dict), group)
    values = [py_dict[key] for key in keys]
    flat = torch.cat([v.flatten().float() if to_float else v.flatten() for v in values])
    dist.all_reduce(flat, group=group)
    if op == 'mean':
        flat = flat / dist.get_world_size(group)
    parts = flat.split([v.numel() for v in values])
    return OrderedDict((key, part.view(v.shape)) for key, part, v in zip(keys, parts, values))


def _same_keys(keys: list[str], group: dist.ProcessGroup | None) -> list[str]:
    """The keys in one order for all processes, after checking that all have the same."""
    gathered: list = [None] * dist.get_world_size(group)
    dist.all_gather_object(gathered, keys, group=group)
    for rank, other in enumerate(gathered):
        if set(other) != set(gathered[0]):
            diff = sorted(set(other) ^ set(gathered[0]))
            raise ValueError(f'all_reduce_dict: processes 0 and {rank} differ in the names {diff}')
    # values are sent without their names, and dicts may be filled in another order in each process
    return gathered[0]


def sync_random_seed(seed: int | None = None, device: str | torch.device = 'cuda') -> int:
    """One seed for all processes: that of process 0, drawn by numpy where ``seed`` is None.

    For samplers whose processes must agree on an order; seeds that should differ add the rank to it.
    """
    if seed is None:
        seed = int(np.random.randint(2**31))  # noqa: NPY002 - follows the run's seed, which sets the global state
    rank, world_size = get_dist_info()
    if world_size == 1:
        return seed
    shared = torch.tensor(seed if rank == 0 else 0, dtype=torch.int64, device=_comm_device(device))
    dist.broadcast(shared, src=0)
    return int(shared.item())
