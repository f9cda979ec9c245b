"""Images of a data set in memory that its loading processes share, so that a file is read, or decoded, once.

Every image has its place from the beginning, those that come first in the data set as far as the memory goes. Which
process reads an image first writes it there; two that do at the same time write the same bytes. So there are no locks,
nothing depends on the number of loading processes, and a resumed run only reads its files once more.
"""

import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmdet.datasets.audit.broken_images import join_prefix
from mmdet.datasets.memory.available_memory import available_memory, parse_size, size_text
from mmdet.datasets.memory.shared_buffer import SharedBuffer
from mmdet.datasets.memory.shared_memory import processes_of_machine
from mmdet.utils.registry import did_you_mean

_LOGGER = logging.getLogger('mmdet')
KINDS = ('decoded', 'encoded')
MOST_OF_AVAILABLE = 0.7  # of the memory that the machine has left


class ImageCache:
    """Arrays of bytes by the names of files.

    Args:
        sizes: name -> bytes at most.
        budget: bytes that all may take.
        kind: ``'decoded'``: pixels as they were read; ``'encoded'``: content of the files.
    """

    def __init__(self, sizes: Mapping[str, int], budget: int, kind: str) -> None:
        self.kind = kind
        self.images = len(sizes)
        ends = list(itertools.accumulate(sizes.values()))
        count = int(np.searchsorted(ends, budget, side='right'))
        self.num_bytes = ends[count - 1] if count else 0
        self._ends = np.array([0, *ends[:count]], np.int64)
        self._places = {name: i for i, name in enumerate(itertools.islice(sizes, count))}
        self._content, self._shapes = SharedBuffer(max(self.num_bytes, 1)), SharedBuffer(max(16 * count, 16))

    def __len__(self) -> int:
        """How many images have a place."""
        return len(self._places)

    def get(self, name: str) -> np.ndarray | None:
        """A copy of the uint8 array of a file; None where it is not here."""
        place = self._places.get(name)
        if place is None or not self._shape(place)[0]:
            return None
        dims, *shape = self._shape(place).tolist()
        shape = shape[:dims]
        start = self._ends[place]
        return self._content.numpy()[start : start + int(np.prod(shape))].reshape(shape).copy()

    def put(self, name: str, array: np.ndarray) -> None:
        """Keep an array of 1 to 3 dimensions, if its file has a place, it is uint8 and not larger than was said."""
        place = self._places.get(name)
        if place is None or array.dtype != np.uint8 or array.size > self._ends[place + 1] - self._ends[place]:
            return
        start = self._ends[place]
        self._content.numpy()[start : start + array.size] = array.reshape(-1)
        shape = self._shape(place)
        shape[1 : 1 + array.ndim] = array.shape
        shape[0] = array.ndim  # last: from now on it is there

    def _shape(self, place: int) -> np.ndarray:
        """(4,) int32: number of dimensions, 0 where there is nothing yet, and the dimensions."""
        return self._shapes.numpy().view(np.int32)[4 * place : 4 * place + 4]


def read_settings(settings: str | int | Mapping[str, Any]) -> tuple[int, str | None]:
    """Bytes and kind (None: what fits) of the argument ``cache_images``.

    Raises:
        ValueError: another argument, kind or size.
    """
    settings = dict(settings) if isinstance(settings, Mapping) else dict(size=settings)
    unknown = set(settings) - {'size', 'kind'}
    if unknown or 'size' not in settings:
        raise ValueError(f"cache_images: expected '8GB' or dict(size='8GB', kind='encoded'), got {settings}")
    kind = settings.get('kind')
    if kind is not None and kind not in KINDS:
        raise ValueError(f'cache_images: there is no kind {kind!r}{did_you_mean(str(kind), KINDS)} Known: {KINDS}')
    return parse_size(settings['size'], 'cache_images'), kind


def cache_images(dataset: Any, settings: str | int | Mapping[str, Any]) -> None:
    """Let the loading steps of a data set keep their images in memory.

    Args:
        dataset: with ``data_infos``, ``img_prefix`` and ``pipeline``.
        settings: a size, or ``dict(size=..., kind=...)``. Without a kind images are kept decoded where all fit, else
            as their files are.

    Raises:
        OSError: the system cannot share memory.
        ValueError: see :func:`read_settings`; or no step of the pipeline reads image files.
    """
    asked, kind = read_settings(settings)
    step = next((step for step in dataset.pipeline.transforms if hasattr(step, 'reader')), None)
    if step is None:
        raise ValueError('cache_images: no step of the pipeline reads image files; it must begin with one')
    budget = bounded(asked)
    channels = 4 if getattr(step, 'color_type', 'color') == 'unchanged' else 3
    sizes = _decoded_sizes(dataset.data_infos, dataset.img_prefix, channels)
    if kind is None:
        kind = 'decoded' if sizes and sum(sizes.values()) <= budget else 'encoded'
    if kind == 'encoded':
        sizes = _encoded_sizes(dataset.data_infos, dataset.img_prefix)
    cache = step.reader.cache = ImageCache(sizes, budget, kind)
    _LOGGER.info(
        f'image cache of {getattr(dataset, "name", None) or getattr(dataset, "ann_file", "the data set")}: '
        f'{len(cache)} of {len(dataset.data_infos)} images, {kind}, at most {size_text(cache.num_bytes)} of '
        f'{size_text(budget)}'
    )


def bounded(asked: int) -> int:
    """The part of a number of bytes that this process may use, with a warning where the machine has not so much."""
    processes = processes_of_machine()
    available = available_memory()
    limit = None if available is None else int(MOST_OF_AVAILABLE * available)
    if limit is not None and asked > limit:
        _LOGGER.warning(
            f'cache_images: {size_text(asked)} are asked for, {size_text(available)} are available; the cache takes '
            f'{size_text(limit)} at most'
        )
        asked = limit
    return asked // processes


def _names(data_infos: Sequence[Mapping[str, Any]], prefix: str) -> list[str]:
    names = [info.get('filename') for info in data_infos]
    return [join_prefix(prefix, name) if isinstance(name, str) else '' for name in names]


def _decoded_sizes(data_infos: Sequence[Mapping[str, Any]], prefix: str, channels: int) -> dict[str, int]:
    """Bytes of the images whose size the annotations state."""
    return {
        name: channels * int(info['width']) * int(info['height'])
        for name, info in zip(_names(data_infos, prefix), data_infos)
        if name and info.get('width') and info.get('height')
    }


def _encoded_sizes(data_infos: Sequence[Mapping[str, Any]], prefix: str) -> dict[str, int]:
    """Bytes of the files that are on a disk."""
    return {name: os.path.getsize(name) for name in _names(data_infos, prefix) if name and os.path.isfile(name)}
