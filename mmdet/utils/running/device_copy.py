"""What the host sends to a device without waiting for it, and whether what it knows of a tensor still holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.utils.running.replaceable import replaceable


@replaceable
def to_device(values: Sequence[Any] | np.ndarray | float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers as a tensor on a device; the host does not wait for the copy.

    They are written into memory of the host, so that ``mmdet.utils.running.host_syncs``, which counts tensors made of
    numbers as copies that are waited for, does not count them.
    """
    known = torch.float32 if dtype == torch.bfloat16 else dtype  # numpy has no bfloat16
    host = torch.empty(np.shape(values), dtype=known)
    host.numpy()[...] = values
    return host.to(dtype).to(device, non_blocking=True)


def tensor_like(values: Sequence[Any] | np.ndarray | Tensor | float, like: Tensor) -> Tensor:
    """``like.new_tensor(values)``, for which the host does not wait; tensors are taken as well."""
    return values.to(like) if isinstance(values, Tensor) else to_device(values, like.dtype, like.device)


def send(host: Tensor, device: torch.device | str) -> Tensor:
    """A tensor of the host on a device. For a GPU it goes through page-locked memory, so that the host does not wait.

    What is larger than 64 KB and not page-locked is copied when all that the GPU has been given before is done.
    """
    pinned = host.pin_memory() if torch.device(device).type == 'cuda' else host
    return pinned.to(device, non_blocking=True)


def version_of(tensor: Tensor) -> int:
    """A number that grows with each change in place; -1 for tensors of ``torch.inference_mode``, which have none."""
    return -1 if tensor.is_inference() else tensor._version


__all__ = ['send', 'tensor_like', 'to_device', 'version_of']
