"""Counting the host-device synchronisations of a piece of code, on any device.

A training step is fast on a GPU where the host runs ahead of it. Every call whose result has a size that depends on
values (``nonzero``, ``unique``, a mask as index), every number that is read (``item``, ``tolist``) and every copy of
numbers to the device makes the host wait until the device is done.
"""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

SYNCING = (
    'nonzero',
    'masked_select',
    '_unique',
    '_unique2',
    'unique_dim',
    'unique_consecutive',
    '_local_scalar_dense',
    'equal',
    'bincount',
    'nms',
)
COPYING = 'lift_fresh'  # a tensor made of numbers, such as new_tensor([...])
INDEXING = ('index', 'index_put', 'index_put_', '_index_put_impl_')
PACKAGE = f'{Path(__file__).resolve().parents[2]}/'


class _SyncCounter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        by_mask = name in INDEXING and _has_mask(args[1])
        repeated = name == 'repeat_interleave' and kwargs.get('output_size') is None
        if name in SYNCING or name == COPYING or by_mask or repeated:
            self.note(name)
        return func(*args, **kwargs)

    def note(self, name: str) -> None:
        """Count a call, under its name and the nearest line of this package that led to it."""
        self.found[f'{name} at {_nearest_line()}'] += 1


def _has_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _nearest_line() -> str:
    own = [frame for frame in traceback.extract_stack() if frame.filename.startswith(PACKAGE)]
    own = [frame for frame in own if frame.filename != __file__]
    return f'{own[-1].filename.removeprefix(PACKAGE)}:{own[-1].lineno}' if own else 'the caller'


@contextmanager
def count_host_syncs() -> Iterator[Counter[str]]:
    """Count, while the context lasts, the calls that would make the host wait for a GPU.

    Yields:
        ``'nonzero at core/bbox/samplers/base_sampler.py:14'`` to the number of such calls. Calls inside the backward
        pass are counted too; what libraries do below torch's operators is not seen.
    """
    counter = _SyncCounter()
    original = Tensor.tolist

    def tolist(tensor: Tensor) -> Any:
        counter.note('tolist')
        return original(tensor)

    Tensor.tolist = tolist  # type: ignore[method-assign, assignment]
    try:
        with counter:
            yield counter.found
    finally:
        Tensor.tolist = original  # type: ignore[method-assign]
