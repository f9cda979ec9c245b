"""What the readers of all formats give: images with named boxes, and their way into COCO's JSON."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmdet.datasets.formats import coco_fields
from mmdet.utils.errors import ReportedError


class AnnotationError(ReportedError, ValueError):
    """Annotations cannot be read; the text names the file."""


class Box(NamedTuple):
    """An annotated object."""

    name: str
    xyxy: tuple[float, float, float, float]  # px, from the upper left corner of the image
    polygon: tuple[float, ...] = ()  # x, y, x, y, ... px; empty: a box alone
    difficult: bool = False  # neither to be found nor to be missed


class AnnotatedImage(NamedTuple):
    """An image and its objects."""

    file_name: str  # relative to the folder of the images
    width: int  # px
    height: int
    boxes: list[Box]


@contextmanager
def located(where: str) -> Iterator[None]:
    """Name the place of what is missing or wrong in a part of the annotations.

    Raises:
        AnnotationError: in place of errors of keys, types and values.
    """
    try:
        yield
    except AnnotationError:
        raise
    except KeyError as error:
        raise AnnotationError(f'{where}: there is no {error.args[0]!r}') from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise AnnotationError(f'{where}: {error}') from error


def read_text(path: Path) -> str:
    """Content of a text file in UTF-8, with or without a byte-order mark.

    Raises:
        AnnotationError: it has another encoding.
    """
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise AnnotationError(f'{path} is not in UTF-8 ({error}); save it as UTF-8') from error


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        AnnotationError: it is none, or empty.
    """
    try:
        return coco_fields.read_json(str(path))
    except ValueError as error:
        raise AnnotationError(f'{path} is empty' if path.stat().st_size == 0 else str(error)) from error


def corner_box(name: Any, x1: float, y1: float, x2: float, y2: float, polygon: Sequence[float] = ()) -> Box:
    """A box between two opposite corners, in any order.

    Args:
        name: class; digits of a number are a name too.
        x1, y1, x2, y2: px.
        polygon: outline x, y, x, y, ... px.

    Raises:
        ValueError: there is no name, or numbers are none.
    """
    if isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name).strip():
        raise ValueError(f'expected the name of a class, got {name!r}')
    numbers = [*map(float, (x1, y1, x2, y2)), *map(float, polygon)]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f'expected finite numbers, got {numbers}')
    x1, y1, x2, y2, *outline = numbers
    return Box(str(name).strip(), (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), tuple(outline))


def polygon_box(name: Any, points: Sequence[float]) -> Box:
    """The object of a polygon x, y, x, y, ... in px.

    Raises:
        ValueError: there is no name, fewer than three points, or numbers are none.
    """
    xs, ys = points[::2], points[1::2]
    if len(xs) < 3 or len(xs) != len(ys):
        raise ValueError(f'expected x and y of three points or more, got {len(points)} numbers')
    return corner_box(name, min(xs), min(ys), max(xs), max(ys), points)


def rotated_box(name: Any, xyxy: Sequence[float], degrees: float, pivot: tuple[float, float] | None = None) -> Box:
    """The object of a rectangle that is turned.

    Args:
        name: class.
        xyxy: corners px before it is turned.
        degrees: clockwise, as one sees it.
        pivot: the point px that stays; default: the centre.
    """
    x1, y1, x2, y2 = xyxy
    if not degrees % 360:
        return corner_box(name, x1, y1, x2, y2)
    x, y = pivot or ((x1 + x2) / 2, (y1 + y2) / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = np.asarray([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]) - (x, y)
    return polygon_box(name, (corners @ [[cos, sin], [-sin, cos]] + (x, y)).ravel().tolist())


def ellipse_box(name: Any, centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0) -> Box:
    """The object of an ellipse, its radii px along x and y before it is turned clockwise."""
    (x, y), (rx, ry), angle = centre, radii, math.radians(degrees)
    width = math.hypot(rx * math.cos(angle), ry * math.sin(angle))
    height = math.hypot(rx * math.sin(angle), ry * math.cos(angle))
    return corner_box(name, x - width, y - height, x + width, y + height)


def class_names(images: Iterable[AnnotatedImage]) -> list[str]:
    """Names of all objects, sorted."""
    return sorted({box.name for image in images for box in image.boxes})


def to_coco(images: Sequence[AnnotatedImage], names: Sequence[str]) -> dict[str, Any]:
    """Content of a COCO file; ids count from 1. Boxes are cut off at the image, those without area are left out.

    Args:
        images: with boxes of these names.
        names: of the categories, in order.
    """
    ids = {name: i for i, name in enumerate(names, 1)}
    annotations: list[dict[str, Any]] = []
    for img_id, image in enumerate(images, 1):
        for box in image.boxes:
            x1, x2 = (min(max(x, 0.0), image.width) for x in box.xyxy[::2])
            y1, y2 = (min(max(y, 0.0), image.height) for y in box.xyxy[1::2])
            if x2 <= x1 or y2 <= y1:
                continue
            polygon = box.polygon or (x1, y1, x1, y2, x2, y2, x2, y1)
            xywh = [round(float(value), 3) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=img_id,
                    category_id=ids[box.name],
                    bbox=xywh,
                    area=round(xywh[2] * xywh[3], 3),
                    segmentation=[[round(float(value), 3) for value in polygon]],
                    iscrowd=int(box.difficult),
                )
            )
    entries = [
        dict(id=i, file_name=image.file_name, width=image.width, height=image.height)
        for i, image in enumerate(images, 1)
    ]
    categories = [dict(id=i, name=name, supercategory='none') for name, i in ids.items()]
    return dict(info={}, images=entries, annotations=annotations, categories=categories)
