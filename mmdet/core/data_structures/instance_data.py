"""Data of the instances (objects, detections) of one image, one row each."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.data_structures.general_data import _FIELD_SETS, GeneralData

_INDEX_TENSORS = (torch.int64, torch.int32, torch.bool, torch.uint8)


class InstanceData(GeneralData):
    """Data whose values (tensors, arrays or lists) all have one row for each instance.

    Indexing with a name gives its values; with a number, a slice, a list, or an index or mask gives an
    ``InstanceData`` of these instances, with the same meta information.

    Raises:
        TypeError: a value of another type, or an index of another type.
        ValueError: a value of another length.
        IndexError: an instance that is not there, or a mask of another length.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The values of a name, which a type checker cannot know."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _FIELD_SETS:
            if not isinstance(value, (Tensor, np.ndarray, list)):
                raise TypeError(f'{name!r} must be a tensor, an array or a list, got {type(value).__name__}')
            others = [key for key in self.keys() if key != name]
            if others and _number(value) != _number(self[others[0]]):
                raise ValueError(f'{name!r} has {_number(value)} rows, {others[0]!r} has {_number(self[others[0]])}')
        super().__setattr__(name, value)

    __setitem__ = __setattr__

    def __getitem__(self, item: str | int | slice | list | np.ndarray | Tensor) -> Any:
        if isinstance(item, str):
            return getattr(self, item)
        index = self._as_index(item)
        return self.new(data={name: _rows(value, index) for name, value in self.items()})

    def _as_index(self, item: Any) -> slice | Tensor:
        """A slice as it is, all else as a tensor of whole numbers."""
        if isinstance(item, slice):
            return item
        if isinstance(item, (int, np.integer)):
            if not -len(self) <= item < len(self):
                raise IndexError(f'instance {item} of {len(self)}')
            return torch.tensor([int(item)])
        if isinstance(item, (list, np.ndarray)):
            item = torch.as_tensor(item) if len(item) else torch.zeros(0, dtype=torch.long)
        if not isinstance(item, Tensor) or item.dtype not in _INDEX_TENSORS:
            raise TypeError(f'instances are chosen by int, slice, list, index or mask, got {item!r}')
        if item.ndim != 1:
            raise IndexError(f'an index or mask of instances has one axis, got {tuple(item.shape)}')
        if item.dtype in (torch.bool, torch.uint8):
            if len(item) != len(self):
                raise IndexError(f'a mask of {len(item)} for {len(self)} instances')
            return item.nonzero().flatten()
        return item.long()

    @staticmethod
    def cat(instances_list: Sequence['InstanceData']) -> 'InstanceData':
        """The instances of several objects in one, with the first one's meta information.

        Raises:
            TypeError: an item is not an ``InstanceData``.
            ValueError: no item, or items with other names of data.
        """
        if not instances_list:
            raise ValueError('InstanceData.cat: nothing to concatenate')
        wrong = [type(item).__name__ for item in instances_list if not isinstance(item, InstanceData)]
        if wrong:
            raise TypeError(f'InstanceData.cat: expected InstanceData, got {wrong[0]}')
        first = instances_list[0]
        for other in instances_list[1:]:
            if set(other.keys()) != set(first.keys()):
                raise ValueError(f'InstanceData.cat: names differ: {first.keys()} and {other.keys()}')
        return first.new(data={name: _join([item[name] for item in instances_list]) for name, _ in first.items()})

    def __len__(self) -> int:
        values = self.values()
        return len(values[0]) if values else 0


def _number(value: Any) -> int:
    """Number of rows; a variable where a tensor is traced, which ``len`` would make a constant."""
    return len(value) if isinstance(value, list) else value.shape[0]


def _rows(value: Tensor | np.ndarray | list, index: slice | Tensor) -> Tensor | np.ndarray | list:
    if isinstance(index, slice):
        return value[index]
    if isinstance(value, Tensor):
        return value[index.to(value.device)]
    if isinstance(value, np.ndarray):
        return value[index.cpu().numpy()]
    return [value[i] for i in index.tolist()]


def _join(values: list) -> Tensor | np.ndarray | list:
    if isinstance(values[0], Tensor):
        return torch.cat(values)
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return list(itertools.chain(*values))
