"""Batches that a loader's ``pin_memory`` reaches: torch looks into dicts and lists, not into mmcv's data containers.

From pinned (page-locked) memory a batch goes to a GPU while the GPU works on the one before.
"""

from collections.abc import Sequence
from typing import Any

from mmcv.parallel import DataContainer, collate
from torch import Tensor


class PinnableContainer(DataContainer):
    """A data container with the method that torch's loader asks for."""

    def pin_memory(self) -> 'PinnableContainer':
        """The same with its tensors in pinned memory, but for what stays on the CPU."""
        return self if self.cpu_only else _like(self, _pinned(self.data))


def collate_pinnable(batch: Sequence[Any], samples_per_gpu: int = 1) -> Any:
    """mmcv's ``collate``, with pinnable containers."""
    return _pinnable(collate(batch, samples_per_gpu))


def _pinnable(data: Any) -> Any:
    if isinstance(data, DataContainer):
        return _like(data, data.data)
    if isinstance(data, dict):
        return {key: _pinnable(value) for key, value in data.items()}
    return [_pinnable(item) for item in data] if isinstance(data, list) else data


def _like(container: DataContainer, data: Any) -> PinnableContainer:
    return PinnableContainer(
        data,
        stack=container.stack,
        padding_value=container.padding_value,
        cpu_only=container.cpu_only,
        pad_dims=container.pad_dims,
    )


def _pinned(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.pin_memory()
    return [_pinned(item) for item in data] if isinstance(data, list) else data
