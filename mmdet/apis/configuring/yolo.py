"""YOLO's data sets: a YAML file, and a text file for each image."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmdet.apis.configuring.annotations import (
    AnnotatedImage,
    AnnotationError,
    Box,
    corner_box,
    located,
    polygon_box,
    read_text,
)
from mmdet.apis.configuring.image_finder import ImageFinder, files_with, image_files
from mmdet.utils.running.progress import tracked

LARGEST = 1.5  # of fractions of the image; boxes may stand out a little
BOX_NUMBERS = 4


def yolo_file(folder: Path) -> Path | None:
    """The YAML file with names of classes in a folder, ``data.yaml`` first; None: there is none."""
    files = [file for file in files_with(folder, '.yaml', '.yml') if file.parent == folder]
    files.sort(key=lambda file: file.stem != 'data')
    return next(
        (file for file in files if re.search(r'^\s*["\']?names["\']?\s*:', read_text(file), re.MULTILINE)), None
    )


def yolo_settings(path: Path) -> dict[str, Any]:
    """``data.yaml`` of a YOLO data set, given by its folder or itself; ``names`` are number -> name in it.

    Raises:
        AnnotationError: there is no such file, or it has no names.
    """
    file = path if path.is_file() else yolo_file(path) or path / 'data.yaml'
    try:
        settings = yaml.safe_load(read_text(file))
    except (OSError, yaml.YAMLError) as error:
        raise AnnotationError(f'{file} cannot be read: {error}') from error
    names = settings.get('names') if isinstance(settings, dict) else None
    if not names or not isinstance(names, (dict, list)):
        raise AnnotationError(f'{file}: expected the key names, a list of classes or number: name')
    with located(f'{file}: names'):
        numbered = dict(enumerate(names)) if isinstance(names, list) else {int(key): names[key] for key in names}
        for name in numbered.values():
            corner_box(name, 0, 0, 1, 1)  # YAML reads no and off as False
    return {**settings, 'names': {number: str(numbered[number]) for number in sorted(numbered)}, 'file': file}


def yolo_images(settings: Mapping[str, Any], split: str) -> tuple[Path, list[str] | None]:
    """Folder of the images of a split, and those that count, relative to it; None: all.

    Raises:
        AnnotationError: the split, or what it names, is not there.
    """
    value = settings.get(split)
    values = value if isinstance(value, list) else [value]
    texts = [text for text in values if isinstance(text, str) and text]
    if not texts or len(texts) < len(values):
        raise AnnotationError(
            f'{settings["file"]}: {split} must be a folder of images, a file that lists them, or a list of these, got '
            f'{value!r}'
        )
    places = [_place(settings, split, text) for text in texts]
    if len(places) == 1 and places[0].is_dir():
        return places[0], None
    files = [file for place in places for file in _files_of(place, settings['file'])]
    if not files:
        raise AnnotationError(f'{settings["file"]}: {split} is {value!r}, and there is no image')
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return folder, sorted({file.relative_to(folder).as_posix() for file in files})


def _place(settings: Mapping[str, Any], split: str, value: str) -> Path:
    """The folder, or the file, that a value of a split names."""
    file = settings['file']
    roots = [file.parent / str(settings.get('path') or ''), file.parent, file.parent.parent]
    # exports of some tools begin with one '../' too many
    tries = [root / v for root in roots for v in (value, re.sub(r'^(\.\./)+', '', value))]
    found = next((place for place in tries if place.exists()), None)
    if found is None:
        raise AnnotationError(f'{file}: {split} is {value!r}, and there is no folder or file {tries[0]}')
    return found / 'images' if (found / 'images').is_dir() else found


def _files_of(place: Path, yaml_file: Path) -> list[Path]:
    """Images of a folder, or those that a file lists, a path on each line."""
    if place.is_dir():
        return [(place / file).absolute() for file in image_files(place)]
    files = []
    for number, line in enumerate(read_text(place).splitlines(), 1):
        if not line.strip():
            continue
        tries = [root / line.strip() for root in (place.parent, yaml_file.parent)]
        found = next((file for file in tries if file.is_file()), None)
        if found is None:
            raise AnnotationError(f'{place}:{number}: there is no image {tries[0]}')
        files.append(Path(os.path.abspath(found)))
    return files


def yolo_label_file(images: Path, name: str) -> Path:
    """The text file of an image: in ``labels`` in place of the path's last ``images``, else beside the image."""
    parts = list((images / name).parts)
    if 'images' in parts:
        last = len(parts) - 1 - parts[::-1].index('images')
        other = Path(*parts[:last], 'labels', *parts[last + 1 :]).with_suffix('.txt')
        if other.is_file():
            return other
    return (images / name).with_suffix('.txt')


def read_yolo(settings: Mapping[str, Any], finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """YOLO's text files: ``class x y w h``, or ``class x y x y ...`` of a polygon, as fractions of the image.

    Every image of the folder counts; one without a file, or with an empty one, has no objects.

    Args:
        settings: of :func:`yolo_settings`.
        finder: of the images.

    Raises:
        AnnotationError: a line is no object, or no image has a file.
    """
    names, with_points = settings['names'], 'kpt_shape' in settings
    files = [yolo_label_file(finder.folder, image) for image in finder.files]
    if not any(file.is_file() for file in files):
        raise AnnotationError(
            f'{settings["file"]}: none of the {len(files)} images has a file of labels, such as {files[0]}'
        )
    for image, file in zip(tracked(finder.files, 'reading annotations'), files):
        size, boxes = finder.size(image), []
        for number, line in enumerate(read_text(file).splitlines() if file.is_file() else (), 1):
            if line.strip():
                with located(f'{file}:{number}'):
                    boxes.append(yolo_box(line, names, size, with_points))
        if with_points:
            finder.left_out['keypoints of objects, whose boxes are kept'] += len(boxes)
        yield AnnotatedImage(image, *size, boxes)


def yolo_box(line: str, names: Mapping[int, str], size_wh: tuple[int, int], with_points: bool = False) -> Box:
    """The object of one line.

    Args:
        line: the text.
        names: number of a class -> its name.
        size_wh: of the image, px.
        with_points: keypoints follow the box.

    Raises:
        ValueError: it is none.
    """
    try:
        label, *numbers = (float(word) for word in line.split())
    except ValueError as error:
        raise ValueError(f'expected numbers, got {line!r}') from error
    if label not in names:
        raise ValueError(f'class {label:g} is none of the {len(names)} names of the YAML file')
    numbers = numbers[:BOX_NUMBERS] if with_points else numbers
    is_polygon = len(numbers) > 5 and len(numbers) % 2 == 0
    if not is_polygon and len(numbers) not in (BOX_NUMBERS, 5):  # the fifth is a score
        raise ValueError(f'expected class, x, y, w, h, got {line!r}')
    x, y, w, h = numbers[:BOX_NUMBERS]
    if max(numbers) > LARGEST or (not is_polygon and min(w, h) < 0):
        raise ValueError(f'expected fractions of the image, got {line!r}')
    if is_polygon:
        return polygon_box(names[int(label)], (np.reshape(numbers, (-1, 2)) * size_wh).ravel().tolist())
    corners = np.asarray([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * [*size_wh, *size_wh]
    return corner_box(names[int(label)], *corners.tolist())
