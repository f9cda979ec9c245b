"""A bag of named values: meta information that is set once, and data that may change."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from mmdet.utils.util_mixins import NiceRepr

MAX_SHOWN = 4  # elements of arrays and tensors that a text of the object spells out
_FIELD_SETS = ('_meta_info_fields', '_data_fields')


_Data = TypeVar('_Data', bound='GeneralData')


class GeneralData(NiceRepr):
    """Named data with read-only meta information; both are reached as attributes, data also as items.

    Args:
        meta_info: names and values that stay as they are, e.g. ``img_shape``; they are copied.
        data: names and values of the data, e.g. tensors.

    Raises:
        AttributeError: meta information, or the two sets of names, are assigned to or deleted.
        KeyError: meta information is set again with another value.
    """

    def __init__(self, meta_info: Mapping | None = None, data: Mapping | None = None) -> None:
        self._meta_info_fields: set[str] = set()
        self._data_fields: set[str] = set()
        if meta_info is not None:
            self.set_meta_info(meta_info)
        if data is not None:
            self.set_data(data)

    def set_meta_info(self, meta_info: Mapping) -> None:
        """Add copies of names and values; one that is there already must be equal."""
        if not isinstance(meta_info, Mapping):
            raise TypeError(f'meta_info must be a dict, got {type(meta_info).__name__}')
        for name, value in copy.deepcopy(dict(meta_info)).items():
            if name in self._meta_info_fields:
                if not _same(self.__dict__[name], value):
                    raise KeyError(f'meta information {name!r} is set already, with another value')
            elif name in self._data_fields:
                raise KeyError(f'{name!r} is data already; it cannot become meta information')
            else:
                self._meta_info_fields.add(name)
                self.__dict__[name] = value

    def set_data(self, data: Mapping) -> None:
        """Set names and values."""
        if not isinstance(data, Mapping):
            raise TypeError(f'data must be a dict, got {type(data).__name__}')
        for name, value in data.items():
            setattr(self, name, value)

    def new(self: _Data, meta_info: Mapping | None = None, data: Mapping | None = None) -> _Data:
        """Another object of this class, with this one's meta information.

        Args:
            meta_info: further meta information; what this one has already must be equal.
            data: its data. Default: None, this one's.
        """
        other = type(self)(dict(self.meta_info_items()), dict(self.items()) if data is None else data)
        if meta_info is not None:
            other.set_meta_info(meta_info)
        return other

    def keys(self) -> list[str]:
        """Names of the data, in the order they were set."""
        return [name for name in self.__dict__ if name in self._data_fields]

    def meta_info_keys(self) -> list[str]:
        """Names of the meta information, in the order they were set."""
        return [name for name in self.__dict__ if name in self._meta_info_fields]

    def values(self) -> list[Any]:
        """Values of the data."""
        return [self.__dict__[name] for name in self.keys()]

    def meta_info_values(self) -> list[Any]:
        """Values of the meta information."""
        return [self.__dict__[name] for name in self.meta_info_keys()]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and values of the data."""
        return iter([(name, self.__dict__[name]) for name in self.keys()])

    def meta_info_items(self) -> Iterator[tuple[str, Any]]:
        """Names and values of the meta information."""
        return iter([(name, self.__dict__[name]) for name in self.meta_info_keys()])

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIELD_SETS:
            if name in self.__dict__:
                raise AttributeError(f'{name} is kept by {type(self).__name__} itself; it cannot be replaced')
        else:
            self._refuse_meta_info(name, 'changed')
            self._data_fields.add(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in _FIELD_SETS:
            raise AttributeError(f'{name} is kept by {type(self).__name__} itself; it cannot be deleted')
        self._refuse_meta_info(name, 'deleted')
        super().__delattr__(name)
        self._data_fields.discard(name)

    def _refuse_meta_info(self, name: str, what: str) -> None:
        if name in self._meta_info_fields:
            raise AttributeError(f'{name!r} is meta information of {type(self).__name__}; it cannot be {what}')

    __setitem__ = __setattr__
    __delitem__ = __delattr__

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, *args: Any) -> Any:
        """Data or meta information of a name, or a default (None)."""
        name, *default = args
        if name in self:
            return self.__dict__[name]
        return default[0] if default else None

    def pop(self, *args: Any) -> Any:
        """Remove and give data; a second argument is given where there is none of that name.

        Raises:
            AttributeError: the name is that of meta information.
            KeyError: there is no such data, and no default.
        """
        name, *default = args
        self._refuse_meta_info(name, 'removed')
        if name in self._data_fields:
            self._data_fields.remove(name)
            return self.__dict__.pop(name)
        if default:
            return default[0]
        raise KeyError(f'{type(self).__name__} has no data {name!r}; it has {self.keys()}')

    def __contains__(self, name: str) -> bool:
        return name in self._data_fields or name in self._meta_info_fields

    def _convert(self, applies: Callable[[Any], bool], convert: Callable[[Any], Any]) -> 'GeneralData':
        """A new object whose values are converted where ``applies`` says so."""
        return self.new(data={name: convert(v) if applies(v) else v for name, v in self.items()})

    def to(self, *args: Any, **kwargs: Any) -> 'GeneralData':
        """A new object; ``.to(...)`` is called on every value that has it."""
        return self._convert(lambda v: hasattr(v, 'to'), lambda v: v.to(*args, **kwargs))

    def cpu(self) -> 'GeneralData':
        """A new object with all tensors in main memory."""
        return self._convert(_is_tensor, lambda v: v.cpu())

    def cuda(self) -> 'GeneralData':
        """A new object with all tensors on the current CUDA device."""
        return self._convert(_is_tensor, lambda v: v.cuda())

    def npu(self) -> 'GeneralData':
        """A new object with all tensors on an Ascend device (needs its torch extension)."""
        return self._convert(_is_tensor, lambda v: v.npu())

    def mlu(self) -> 'GeneralData':
        """A new object with all tensors on a Cambricon device (needs its torch extension)."""
        return self._convert(_is_tensor, lambda v: v.mlu())

    def detach(self) -> 'GeneralData':
        """A new object with all tensors cut off the graph."""
        return self._convert(_is_tensor, lambda v: v.detach())

    def numpy(self) -> 'GeneralData':
        """A new object with arrays in place of tensors."""
        return self._convert(_is_tensor, lambda v: v.detach().cpu().numpy())

    def __nice__(self) -> str:
        def show(value: Any) -> str:
            if not hasattr(value, 'shape'):
                return repr(value)
            return repr(value) if math.prod(value.shape) <= MAX_SHOWN else f'shape {tuple(value.shape)}'

        meta = [f'{name}: {show(value)}' for name, value in self.meta_info_items()]
        data = [f'{name}: {show(value)}' for name, value in self.items()]
        return '\n  '.join(['', 'META INFORMATION', *meta, 'DATA FIELDS', *data]) + '\n'


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _same(a: Any, b: Any) -> bool:
    """Equality that also works for arrays and tensors."""
    if isinstance(a, (np.ndarray, torch.Tensor)) or isinstance(b, (np.ndarray, torch.Tensor)):
        return type(a) is type(b) and a.shape == b.shape and bool((a == b).all())
    return a == b
