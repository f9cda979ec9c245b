"""Annotations of any known format as COCO's JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.apis.configuring import formats, yolo
from mmdet.apis.configuring.annotations import AnnotationError, class_names, located, read_json, to_coco
from mmdet.apis.configuring.image_finder import ImageFinder, files_with, image_size
from mmdet.apis.configuring.label_studio import is_label_studio, read_label_studio
from mmdet.apis.configuring.tables import read_csv
from mmdet.datasets.formats.coco_fields import read_fields
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
    kind, path = find_format(path)
    files = None
    settings = yolo.yolo_settings(path) if kind == 'yolo' else None
    if settings is not None and images is None:
        folder, files = yolo.yolo_images(settings, split)
    else:
        folder = Path(images) if images is not None else images_of(kind, path)
    if kind == 'coco':
        return Annotations(kind, check_coco(read_json(path), path, folder), folder, path, [])
    finder = ImageFinder(folder, files)
    found = list(READERS[kind](path, finder) if settings is None else yolo.read_yolo(settings, finder))
    if not found:
        sought = f'; not there: {listed(finder.missing)}' if finder.missing else ''
        raise AnnotationError(f'{path}: no annotated image was found (format {kind}, images in {folder}{sought})')
    names = class_names(found) if settings is None else list(settings['names'].values())
    notes = [f'{path}: {remark}' for remark in finder.remarks]
    notes += [f'{path}: left out: {count} {what}' for what, count in finder.left_out.items()]
    if finder.missing:
        count = len(finder.missing)
        notes.append(f'{path}: {count} annotated images are not in {folder} and left out: {listed(finder.missing)}')
    content = to_coco(found, names)
    lost = sum(len(image.boxes) for image in found) - len(content['annotations'])
    if lost:
        notes.append(f'{path}: {lost} boxes without area inside their image are left out')
    return Annotations(kind, content, folder, None, notes)


def listed(names: Sequence[str]) -> str:
    """The first of several names."""
    return ', '.join(names[:MISSING_SHOWN]) + (', ...' if len(names) > MISSING_SHOWN else '')


READERS: dict[str, formats.Reader] = dict(
    voc=formats.read_voc,
    labelme=formats.read_labelme,
    cvat=formats.read_cvat,
    label_studio=read_label_studio,
    csv=read_csv,
)


def find_format(path: Path) -> tuple[str, Path]:
    """``'coco'``, ``'yolo'`` or a key of :data:`READERS`; and the path, of a folder with a single COCO file that file.

    Raises:
        AnnotationError: none fits.
    """
    if path.is_dir():
        kind, path = format_of_folder(path)
    elif not path.is_file():
        raise AnnotationError(f'there is no {path}')
    else:
        by_ending = {'.yaml': 'yolo', '.yml': 'yolo', '.xml': 'cvat', '.csv': 'csv'}
        kind = format_of_json(path) if path.suffix.lower() == '.json' else by_ending.get(path.suffix.lower())
        if path.suffix == '.txt' and path.resolve().parent.parent.name == 'ImageSets':
            kind = 'voc'
    if kind is None:
        raise AnnotationError(f'{path}: the format is not known. Known: {KNOWN_FORMATS}')
    return kind, path


def format_of_folder(path: Path) -> tuple[str | None, Path]:
    """The format of a folder, None: none fits; and the path of what is read."""
    if yolo.yolo_file(path) is not None:
        return 'yolo', path
    if (path / 'Annotations').is_dir() or files_with(path, '.xml'):
        return 'voc', path
    kinds = {file: format_of_json(file) for file in files_with(path, '.json')}
    if 'labelme' in kinds.values():
        return 'labelme', path
    known = {file: kind for file, kind in kinds.items() if kind is not None}
    if len(known) > 1:
        raise AnnotationError(
            f'{path} has {len(known)} files of annotations; give one: {listed(list(map(str, known)))}'
        )
    return next(((kind, file) for file, kind in known.items()), (None, path))


def format_of_json(path: Path) -> str | None:
    """The format of a JSON file; None: none fits."""
    content = read_json(path)
    if is_label_studio(content):
        return 'label_studio'
    if not isinstance(content, dict):
        return None
    return 'labelme' if 'shapes' in content else 'coco' if 'images' in content else None


def images_of(kind: str, path: Path) -> Path:
    """The folder of the images where it is not given."""
    root = path if path.is_dir() else path.parent
    if kind == 'voc' and path.is_file():
        root = path.resolve().parents[2]
    places = [root / 'JPEGImages', root / 'images', root.parent / 'images']
    return next((place for place in places if place.is_dir()), root)


def check_coco(content: Any, path: Path, folder: Path) -> dict[str, Any]:
    """The content of a COCO file, its fields brought into their kinds, sizes of images that lack them filled in.

    Raises:
        AnnotationError: a list is missing, or fields of entries are not as they should be.
        BrokenImageError: an image without a size is not there.
    """
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise AnnotationError(f'{path}: expected a COCO file with the list {key}; it has {", ".join(content)}')
    with located(str(path)):
        read_fields(content, str(path))
        for image in content['images']:
            if 'width' not in image or 'height' not in image:
                image['width'], image['height'] = image_size(folder / image['file_name'])
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
