"""Label Studio's exports, JSON and JSON-MIN."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from mmdet.apis.configuring.annotations import (
    AnnotatedImage,
    Box,
    ellipse_box,
    located,
    polygon_box,
    read_json,
    rotated_box,
)
from mmdet.apis.configuring.image_finder import ImageFinder
from mmdet.utils.running.progress import tracked

FILE_ENDING = re.compile(r'\.\w{3,4}($|\?)')


def is_label_studio(content: Any) -> bool:
    """Whether the content of a JSON file is an export: tasks with ``data``, or the short form."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and ('data' in first or bool(_file_of(first)))


def read_label_studio(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """Rectangles, polygons and ellipses, in per cent. The latest annotation of a task counts."""
    for number, task in enumerate(tracked(read_json(path), 'reading annotations')):
        where = f'{path}: task {task.get("id", number) if isinstance(task, dict) else number}'
        with located(where):
            file_name = unquote(_file_of(task.get('data', task)).split('?d=')[-1].split('?')[0])
        # uploads get a prefix of eight characters
        image = finder.find(file_name, re.sub(r'^[0-9a-f]{8}-', '', Path(file_name).name))
        if image is None:
            continue
        size = finder.size(image)
        with located(where):
            boxes = [label_studio_box(value, size, finder) for value in _values(task)]
        yield AnnotatedImage(image, *size, [box for box in boxes if box is not None])


def _file_of(data: Mapping[str, Any]) -> str:
    return next((v for v in data.values() if isinstance(v, str) and FILE_ENDING.search(v)), '')


def _values(task: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What the regions of a task say; the short form has them in lists of its own keys."""
    if 'data' not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        return [region for regions in lists for region in regions if isinstance(region, dict)]
    done = [a for a in task.get('annotations') or task.get('completions') or [] if not a.get('was_cancelled')]
    return [region.get('value', {}) for region in (done[-1]['result'] if done else [])]


def label_studio_box(value: Mapping[str, Any], size_wh: tuple[int, int], finder: ImageFinder) -> Box | None:
    """The object of a region; None: it is a choice, a text or the like, or has no area, which is noted."""
    key = next((key for key in value if key.endswith('labels') and value[key]), None)
    if key is None:
        return None
    name, degrees, scale = value[key][0], float(value.get('rotation') or 0), np.asarray(size_wh) / 100

    def px(x: str, y: str) -> tuple[float, float]:
        return float(value[x] * scale[0]), float(value[y] * scale[1])

    if 'points' in value:
        return polygon_box(name, (np.asarray(value['points']) * scale).ravel().tolist())
    if 'radiusX' in value:
        return ellipse_box(name, px('x', 'y'), px('radiusX', 'radiusY'), degrees)
    if key in ('rectanglelabels', 'labels'):
        corner, extent = px('x', 'y'), px('width', 'height')
        xyxy = (*corner, corner[0] + extent[0], corner[1] + extent[1])
        return rotated_box(name, xyxy, degrees, pivot=corner)
    finder.left_out[f'regions of {key}'] += 1
    return None
