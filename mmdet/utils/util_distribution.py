"""The device of a run, and a model wrapped for it."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from mmdet.utils.running.parallel import SingleDeviceParallel, StepDistributedDataParallel

DEVICES = ('cuda', 'cpu')


def get_device() -> str:
    """``'cuda'`` where a GPU can be used, else ``'cpu'``."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def build_dp(model: nn.Module, device: str = 'cuda', dim: int = 0, *args: Any, **kwargs: Any) -> SingleDeviceParallel:
    """Move a model to one device and wrap it.

    Args:
        model: to be wrapped.
        device: ``'cuda'`` or ``'cpu'``.
        dim: batch dimension, for torch's signature.
        args, kwargs: e.g. ``device_ids=[1]``.

    Raises:
        ValueError: another device.
    """
    _check_device(device)
    if device == 'cpu':
        kwargs['device_ids'] = None
        return SingleDeviceParallel(model.cpu(), *args, dim=dim, **kwargs)  # type: ignore[misc]
    device_ids = kwargs.get('device_ids') or [torch.cuda.current_device()]
    kwargs['device_ids'] = device_ids
    return SingleDeviceParallel(model.cuda(device_ids[0]), *args, dim=dim, **kwargs)  # type: ignore[misc]


def build_ddp(model: nn.Module, device: str = 'cuda', *args: Any, **kwargs: Any) -> StepDistributedDataParallel:
    """Move a model to this process's device and wrap it for training with other processes.

    Args:
        model: to be wrapped; ``torch.distributed`` must be initialised.
        device: ``'cuda'`` or ``'cpu'``.
        args, kwargs: for ``DistributedDataParallel``, e.g. ``find_unused_parameters``.

    Raises:
        ValueError: another device.
    """
    _check_device(device)
    if device == 'cpu':
        kwargs.pop('device_ids', None)
        return StepDistributedDataParallel(model.cpu(), *args, **kwargs)
    kwargs.setdefault('device_ids', [torch.cuda.current_device()])
    return StepDistributedDataParallel(model.cuda(), *args, **kwargs)


def broadcast_object(value: Any) -> Any:
    """The value of the process of rank 0, on all processes; itself where there is one process.

    Args:
        value: anything that can be pickled; all processes must call this, those of other ranks with any value.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return value
    values = [value]
    dist.broadcast_object_list(values, 0)
    return values[0]


def is_npu_available() -> bool:
    """Whether an Ascend NPU can be used: this package supports none."""
    return False


def is_mlu_available() -> bool:
    """Whether a Cambricon MLU can be used: this package supports none."""
    return False


def _check_device(device: str) -> None:
    if device not in DEVICES:
        raise ValueError(f'device: expected one of {DEVICES}, got {device!r}')
