"""Annotations of any known format as COCO's JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.apis.configuring import formats
from mmdet.apis.configuring.annotations import AnnotationError, ImageFinder, class_names, to_coco
from mmdet.utils import atomic_write

KNOWN_FORMATS = (
    'COCO JSON; a VOC folder, a file of its ImageSets/Main, or XML beside images; a YOLO data.yaml or its folder; a '
    'folder of labelme JSON; CVAT XML; Label Studio JSON; CSV'
)
MISSING_SHOWN = 5


class Annotations(NamedTuple):
    """Annotations of one data set."""

    kind: str  # the format that they had
    content: dict[str, Any]  # of a COCO file
    images: Path  # the folder that file names are relative to
    path: Path | None  # of the file, where it is in COCO's format already
    notes: list[str]  # what was left out

    @property
    def names(self) -> list[str]:
        """Names of the categories."""
        return [str(category['name']) for category in self.content['categories']]


def read_annotations(path: Path | str, images: Path | str | None = None, split: str = 'train') -> Annotations:
    """Read annotations of a format that is found by looking at them.

    Args:
        path: file or folder.
        images: folder of the images; None: where the format has it (beside the annotations).
        split: of a YOLO data set: ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        AnnotationError: they cannot be read; the text names the file.
    """
    path = Path(path)
    kind = find_format(path)
    folder = Path(images) if images is not None else images_of(kind, path, split)
    if kind == 'coco':
        return Annotations(kind, check_coco(formats.read_json(path), path), folder, path, [])
    finder = ImageFinder(folder)
    found = list(READERS[kind](path, finder))
    if not found:
        raise AnnotationError(f'{path}: no annotated image was found (format {kind}, images in {folder})')
    names = formats.yolo_settings(path)['names'] if kind == 'yolo' else class_names(found)
    notes = []
    if finder.missing:
        shown = ', '.join(finder.missing[:MISSING_SHOWN]) + (', ...' if len(finder.missing) > MISSING_SHOWN else '')
        notes.append(f'{path}: {len(finder.missing)} annotated images are not in {folder} and left out: {shown}')
    content = to_coco(found, names)
    lost = sum(len(image.boxes) for image in found) - len(content['annotations'])
    if lost:
        notes.append(f'{path}: {lost} boxes without area inside their image are left out')
    return Annotations(kind, content, folder, None, notes)


READERS: dict[str, formats.Reader] = dict(
    voc=formats.read_voc,
    yolo=formats.read_yolo,
    labelme=formats.read_labelme,
    cvat=formats.read_cvat,
    label_studio=formats.read_label_studio,
    csv=formats.read_csv,
)


def find_format(path: Path) -> str:
    """``'coco'`` or a key of :data:`READERS`.

    Raises:
        AnnotationError: none fits.
    """
    if path.is_dir():
        kind = format_of_folder(path)
    elif not path.is_file():
        raise AnnotationError(f'there is no {path}')
    else:
        by_ending = {'.yaml': 'yolo', '.yml': 'yolo', '.xml': 'cvat', '.csv': 'csv'}
        kind = format_of_json(path) if path.suffix.lower() == '.json' else by_ending.get(path.suffix.lower())
        if path.suffix == '.txt' and path.resolve().parent.parent.name == 'ImageSets':
            kind = 'voc'
    if kind is None:
        raise AnnotationError(f'{path}: the format is not known. Known: {KNOWN_FORMATS}')
    return kind


def format_of_folder(path: Path) -> str | None:
    """The format of a folder; None: none fits."""
    if any(path.glob('*.y*ml')):
        return 'yolo'
    if (path / 'Annotations').is_dir() or any(path.rglob('*.xml')):
        return 'voc'
    return 'labelme' if any(path.rglob('*.json')) else None


def format_of_json(path: Path) -> str | None:
    """The format of a JSON file; None: none fits."""
    content = formats.read_json(path)
    if isinstance(content, list):
        return 'label_studio' if content and isinstance(content[0], dict) and 'data' in content[0] else None
    if not isinstance(content, dict):
        return None
    return 'labelme' if 'shapes' in content else 'coco' if 'images' in content else None


def images_of(kind: str, path: Path, split: str) -> Path:
    """The folder of the images where it is not given."""
    if kind == 'yolo':
        return formats.yolo_images(formats.yolo_settings(path), split)
    root = path if path.is_dir() else path.parent
    if kind == 'voc' and path.is_file():
        root = path.resolve().parents[2]
    places = [root / 'JPEGImages', root / 'images', root.parent / 'images']
    return next((place for place in places if place.is_dir()), root)


def check_coco(content: Any, path: Path) -> dict[str, Any]:
    """The content of a COCO file.

    Raises:
        AnnotationError: a list is missing.
    """
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise AnnotationError(f'{path}: expected a COCO file with the list {key}; it has {", ".join(content)}')
    return content


def write_coco(content: dict[str, Any], path: Path, sources: Sequence[Path]) -> None:
    """Write a COCO file.

    Raises:
        AnnotationError: it would replace one of the user's own files.
    """
    if path.resolve() in {source.resolve() for source in sources}:
        raise AnnotationError(f'{path} is your own file; choose another --out')
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, encoding='utf-8') as file:
        json.dump(content, file)
