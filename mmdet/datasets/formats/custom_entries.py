"""Entries of images in mmdetection's own format, from files whose numbers are lists."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# key of ``ann`` -> kind of its numbers, and numbers of each object
_ARRAYS = dict(bboxes=(np.float32, 4), labels=(np.int64, 1), bboxes_ignore=(np.float32, 4), labels_ignore=(np.int64, 1))


def read_entries(content: Any, path: str) -> list[dict]:
    """Entries of the images with arrays in place of lists; arrays stay as they are.

    Args:
        content: of the annotation file.
        path: of the file, for messages.

    Raises:
        ValueError: no list of entries with ``filename``, or annotations of another form; the message names the image.
    """
    if not isinstance(content, list):
        raise ValueError(f'{path}: expected a list with an entry for each image, got {type(content).__name__}')
    for number, info in enumerate(content):
        if not isinstance(info, Mapping) or 'filename' not in info:
            raise ValueError(f'{path}: entry {number} has no "filename": {str(info)[:80]}')
        ann: Any = info.get('ann')
        for key, (dtype, length) in _ARRAYS.items() if isinstance(ann, Mapping) else ():
            if key in ann and (not isinstance(ann[key], np.ndarray) or ann[key].shape == (0,) and length > 1):
                ann[key] = _array(ann[key], dtype, length, f'{path}: {key} of {info["filename"]}')
    return content


def _array(values: Any, dtype: type, length: int, where: str) -> np.ndarray:
    try:
        array = np.asarray(values if values is not None else [], dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise ValueError(f'{where}: expected lists of numbers ({err})') from err
    if not array.size:
        return np.zeros((0, length) if length > 1 else 0, dtype=dtype)
    if array.shape[1:] != ((length,) if length > 1 else ()) or not np.isfinite(array).all():
        raise ValueError(f'{where}: expected {length} finite number(s) for each object, got shape {array.shape}')
    return array.astype(dtype)
