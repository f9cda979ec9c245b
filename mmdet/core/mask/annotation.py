"""Masks as annotation files have them, polygons or run lengths of either kind, checked before C code reads them.

pycocotools trusts lengths: run lengths that do not fill the image give memory that nobody wrote, or never end, and a
corner far away asks for more memory than there is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import pycocotools.mask as mask_utils

MIN_CORNERS = 3
FAR_AWAY = 16  # corners lie within so many edges of the image around it


def as_polygons(segmentation: Any) -> list[Sequence[float]]:
    """Polygons as lists x1, y1, x2, y2, ... px.

    Those with less than three corners, or with a lone coordinate, are left out.

    A single polygon may stand without a list around it, and corners may be pairs.

    Raises:
        ValueError: anything else, or no polygon is left.
    """
    if not isinstance(segmentation, (list, tuple)) or not len(segmentation):
        raise ValueError(f'no polygon: {_shown(segmentation)}')
    if _are_numbers(segmentation):
        segmentation = [segmentation]
    elif len(segmentation) >= MIN_CORNERS and all(_is_list(part) and len(part) == 2 for part in segmentation):
        if not all(map(_are_numbers, segmentation)):
            raise ValueError(f'corners that are no numbers: {_shown(segmentation)}')
        segmentation = [[number for corner in segmentation for number in corner]]
    polygons = []
    for polygon in segmentation:
        if _is_list(polygon) and len(polygon) and all(_is_list(part) and len(part) == 2 for part in polygon):
            polygon = [number for corner in polygon for number in corner]
        if not _is_list(polygon) or not _are_numbers(polygon):
            raise ValueError(f'a polygon that is no list of finite numbers: {_shown(polygon)}')
        polygons.append(polygon)
    polygons = [polygon for polygon in polygons if len(polygon) >= 2 * MIN_CORNERS and len(polygon) % 2 == 0]
    if not polygons:
        raise ValueError(f'no polygon with {MIN_CORNERS} corners: {_shown(segmentation)}')
    return polygons


def _is_list(value: Any) -> TypeGuard[Sequence]:
    return isinstance(value, (list, tuple, np.ndarray))


def _are_numbers(values: Any) -> bool:
    """Whether all of a list are finite numbers."""
    if not _is_list(values):
        return False
    if isinstance(values, np.ndarray):
        return values.ndim == 1 and values.dtype.kind in 'iuf' and bool(np.isfinite(values).all())
    if not set(map(type, values)) <= {int, float}:
        return all(isinstance(value, (int, float, np.number)) and math.isfinite(value) for value in values)
    try:
        return all(map(math.isfinite, values))
    except OverflowError:  # an integer beyond what a float holds
        return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def segmentation_to_rle(segmentation: Any, height: int, width: int) -> dict:
    """Compressed run lengths of one object's mask.

    Args:
        segmentation: polygons (see :func:`as_polygons`), or ``dict(size=[h, w], counts=...)`` with run lengths of all
            pixels, column by column, zeros first: numbers, or pycocotools' text.
        height, width: of the image, px.

    Raises:
        ValueError: nothing of the kind, run lengths of another size or that do not fill it, or a corner far outside.
    """
    if isinstance(segmentation, Mapping):
        return _checked_rle(segmentation, height, width)
    polygons = as_polygons(segmentation)
    _check_near(polygons, height, width)
    # float arrays: lists of four numbers would be taken for boxes
    rles = mask_utils.frPyObjects([np.asarray(polygon, dtype=np.float64) for polygon in polygons], height, width)
    return mask_utils.merge(rles)


def _check_near(polygons: list[Sequence[float]], height: int, width: int) -> None:
    limit = FAR_AWAY * max(height, width)
    if any(max(polygon) > limit or min(polygon) < -limit for polygon in polygons):
        raise ValueError(f'a corner is more than {limit} px away from its image of {width}x{height} px')


def _checked_rle(rle: Mapping[str, Any], height: int, width: int) -> dict:
    counts, size = rle.get('counts'), rle.get('size')
    if not _is_list(size) or list(size) != [height, width]:
        raise ValueError(f'run lengths of size {_shown(size)}; those of the image are [{height}, {width}] (h, w)')
    if isinstance(counts, (str, bytes)):
        lengths = run_lengths(counts)
    elif _are_numbers(counts):
        lengths = np.asarray(counts, dtype=np.float64)
    else:
        raise ValueError(f'counts of run lengths must be whole numbers or a text, got {_shown(counts)}')
    if (lengths < 0).any() or (lengths != np.floor(lengths)).any() or lengths.sum() != height * width:
        raise ValueError(f'run lengths come to {lengths.sum():.0f} pixels; the image has {height * width}')
    if isinstance(counts, (str, bytes)):
        return dict(size=[height, width], counts=counts)
    return mask_utils.frPyObjects(dict(size=[height, width], counts=lengths.astype(int).tolist()), height, width)


def run_lengths(text: str | bytes) -> np.ndarray:
    """(n,) run lengths from pycocotools' text: five bits a character, the difference to the length two before.

    Raises:
        ValueError: other characters, or a number that does not end.
    """
    try:
        codes = np.frombuffer(text.encode('ascii') if isinstance(text, str) else text, dtype=np.uint8).astype(np.int64)
    except UnicodeEncodeError as err:
        raise ValueError(f'counts of run lengths have characters of no length: {_shown(text)}') from err
    codes = codes - 48
    if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError(f'counts of run lengths are cut off, or have characters of no length: {_shown(text)}')
    last = np.flatnonzero(~codes & 32)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 10:
        raise ValueError(f'counts of run lengths hold numbers beyond all images: {_shown(text)}')
    place = np.arange(len(codes)) - np.repeat(first, last - first + 1)
    values = np.add.reduceat((codes & 31) << (5 * place), first)
    negative = (codes[last] & 16) > 0
    values[negative] -= 1 << (5 * (last - first + 1)[negative])
    for start in (1, 2):  # each of those from the fourth on is a difference
        values[start::2] = np.cumsum(values[start::2])
    return values


def segmentation_to_bitmap(segmentation: Any, height: int, width: int) -> np.ndarray:
    """One object's mask (h, w) uint8; see :func:`segmentation_to_rle`."""
    return mask_utils.decode(segmentation_to_rle(segmentation, height, width))


def segmentation_fault(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with one object's mask; None: nothing."""
    try:
        if isinstance(segmentation, Mapping):
            _checked_rle(segmentation, height, width)
        else:
            _check_near(as_polygons(segmentation), height, width)
    except ValueError as err:
        return str(err)
    return None
