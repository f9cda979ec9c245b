"""The image to draw on, read as the pipeline that fed the network read it: boxes only fit on such a one."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np

DEFAULT_FLAG = 'color'
JPEG_START, JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'  # markers


def read_image(img: str | os.PathLike[str] | np.ndarray, pipeline: Any = None) -> np.ndarray:
    """An image to draw on.

    A rotation that is stored in the file is applied or left aside as the pipeline's ``LoadImageFromFile`` does
    (``color_type='color_ignore_orientation'``), and the file is read through its ``file_client_args``.

    Args:
        img: path, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), blue-green-red; not changed.
        pipeline: steps as configs or as objects, or a composed pipeline; None, or one that loads no file: mmcv's
            defaults.

    Returns:
        (H, W, 3) uint8, blue-green-red; deeper images are scaled down to eight bits.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no image; it is named.
    """
    if isinstance(img, np.ndarray):
        return _three_channels(img)
    flag, file_client_args = _loading(pipeline)
    path = os.fspath(img)
    if file_client_args.get('backend', 'disk') == 'disk' and not Path(path).is_file():
        raise FileNotFoundError(f'image file not found: {path}')
    content = mmcv.FileClient(**file_client_args).get(path)
    decoded = mmcv.imfrombytes(content, flag=flag)
    if decoded is None and content.startswith(JPEG_START):
        decoded = mmcv.imfrombytes(content + JPEG_END, flag=flag)  # cut short: as the pipeline reads it
    if decoded is None:
        raise ValueError(f'{path} cannot be decoded: it is empty, cut off or no image')
    return _three_channels(decoded)


def pipeline_of(cfg: Any) -> Any:
    """The pipeline of ``data.test`` of a config, of the first one where it is a list or a wrapper; None without any."""
    node = ((cfg or {}).get('data') or {}).get('test')
    while node:
        if isinstance(node, (list, tuple)):
            node = node[0]
        elif node.get('pipeline'):
            return node['pipeline']
        else:
            node = node.get('dataset') or node.get('datasets')
    return None


def _loading(pipeline: Any) -> tuple[str, dict[str, Any]]:
    """How the first step that loads a file does so: flag of the decoder and arguments of the file client."""
    for step in _steps(pipeline):
        get: Callable[..., Any]
        if isinstance(step, Mapping):
            name, get = step.get('type'), step.get
        else:
            name, get = type(step).__name__, lambda key, default, step=step: getattr(step, key, default)
        if 'LoadImageFromFile' in str(name):
            args = get('file_client_args', None) or dict(backend='disk')
            return str(get('color_type', DEFAULT_FLAG)), dict(args)
    return DEFAULT_FLAG, dict(backend='disk')


def _steps(pipeline: Any) -> Iterator[Any]:
    """The steps of a pipeline, those within others too."""
    for step in getattr(pipeline, 'transforms', pipeline) or ():
        yield step
        inner = step.get('transforms') if isinstance(step, Mapping) else getattr(step, 'transforms', None)
        yield from _steps(inner)


def _three_channels(img: np.ndarray) -> np.ndarray:
    if img.dtype == np.uint16:
        img = img // 257
    img = np.clip(img, 0, 255).astype(np.uint8)
    if img.ndim == 2 or img.shape[2] == 1:
        return cv2.cvtColor(img, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(img[..., :3])
