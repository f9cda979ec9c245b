"""Readers of annotation formats: PASCAL VOC, labelme and CVAT.

Libraries for this were tried first (globox 2.9, supervision 0.31, datumaro 1.13), on files with a byte-order mark,
without sizes, with polygons, without objects. Each failed on some, or left polygons out without a word.

A reader takes the path of the annotations and an :class:`ImageFinder`, and yields images. Images whose file is missing
are left out, and so are shapes without an area; the finder has noted them.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdet.apis.configuring.annotations import (
    AnnotatedImage,
    AnnotationError,
    Box,
    corner_box,
    ellipse_box,
    located,
    polygon_box,
    read_json,
    read_text,
    rotated_box,
)
from mmdet.apis.configuring.image_finder import ImageFinder, files_with
from mmdet.datasets.formats.voc_xml import parse_voc_xml
from mmdet.utils.running.progress import tracked

Reader = Callable[[Path, ImageFinder], Iterator[AnnotatedImage]]


def voc_files(path: Path) -> list[Path]:
    """XML files of a VOC folder, a folder with XML beside images, or a list in ``ImageSets/Main``."""
    if path.is_file():
        root = path.resolve().parents[2]
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
        return [root / 'Annotations' / f'{words[0]}.xml' for words in lines]
    return files_with(voc_folder(path), '.xml')


def voc_folder(path: Path) -> Path:
    """The folder that the XML files are in, or below it."""
    root = path.resolve().parents[2] if path.is_file() else path
    return root / 'Annotations' if (root / 'Annotations').is_dir() else root


def read_voc(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """PASCAL VOC's XML, LabelImg's too. VOC counts pixels from 1, and both corners belong to the box."""
    for file in tracked(voc_files(path), 'reading annotations'):
        try:
            xml = parse_voc_xml(str(file))
        except (OSError, ValueError) as error:
            raise AnnotationError(str(error)) from error
        image = finder.find(file.stem, xml.filename or file.stem, beside=_below(file, voc_folder(path)))
        if image is not None:
            width, height = (xml.width, xml.height) if xml.width and xml.height else finder.size(image)
            corners = (xml.corners - [1, 1, 0, 0]).astype(float).tolist()
            with located(str(file)):
                boxes = [
                    corner_box(n, *c)._replace(difficult=bool(d)) for n, c, d in zip(xml.names, corners, xml.difficult)
                ]
            yield AnnotatedImage(image, width, height, boxes)


def _below(file: Path, folder: Path) -> str:
    """The folder of a file, relative to one above it."""
    return file.parent.relative_to(folder).as_posix()


def read_labelme(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """A folder of labelme's JSON files."""
    root = path.parent if path.is_file() else path
    for file in tracked([path] if path.is_file() else files_with(path, '.json'), 'reading annotations'):
        content = read_json(file)
        if not isinstance(content, dict) or 'shapes' not in content:
            continue  # another file that lies there
        image = finder.find(content.get('imagePath') or file.stem, file.stem, beside=_below(file, root))
        if image is not None:
            size = int(content.get('imageWidth') or 0), int(content.get('imageHeight') or 0)
            width, height = size if all(size) else finder.size(image)
            boxes = []
            for number, shape in enumerate(content['shapes']):
                with located(f'{file}: shape {number}'):
                    boxes.append(labelme_box(shape, finder))
            yield AnnotatedImage(image, width, height, [box for box in boxes if box is not None])


def labelme_box(shape: Mapping[str, Any], finder: ImageFinder) -> Box | None:
    """The object of a shape; None, and noted: it has no area."""
    kind, points, name = shape.get('shape_type') or 'polygon', shape['points'], shape['label']
    if kind in ('point', 'points', 'line', 'linestrip'):
        finder.left_out[f'shapes of the kind {kind}, which have no area'] += 1
        return None
    if len(points) < 2:
        raise ValueError(f'{kind} of {len(points)} points; expected two or more')
    if kind == 'circle':
        (x, y), edge = points
        return ellipse_box(name, (x, y), (float(np.hypot(edge[0] - x, edge[1] - y)),) * 2)
    if kind in ('rectangle', 'mask'):
        return corner_box(name, *np.min(points, 0).tolist(), *np.max(points, 0).tolist())
    return polygon_box(name, np.ravel(points).tolist())


def read_cvat(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """CVAT's "for images" XML."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise AnnotationError(f'{path} is no valid XML: {error}') from error
    entries = root.findall('image')
    if root.tag != 'annotations' or (not entries and root.find('track') is not None):
        found = 'the tracks of a video' if root.tag == 'annotations' else f'<{root.tag}>'
        raise AnnotationError(f'{path}: expected <annotations> of "CVAT for images", got {found}')
    for entry in tracked(entries, 'reading annotations'):
        image = finder.find(entry.get('name', ''))
        if image is None:
            continue
        size = int(entry.get('width', 0)), int(entry.get('height', 0))
        width, height = size if all(size) else finder.size(image)
        boxes = []
        for element in entry:
            with located(f'{path}: image {entry.get("name")}: {element.tag} of {element.get("label")!r}'):
                boxes.append(cvat_box(element, finder))
        yield AnnotatedImage(image, width, height, [box for box in boxes if box is not None])


def cvat_box(element: ElementTree.Element, finder: ImageFinder) -> Box | None:
    """The object of an element; None: it has no area, which is noted, or is a tag of the whole image."""
    name, degrees = element.get('label'), float(element.get('rotation', 0))

    def numbers(*keys: str) -> list[float]:
        return [float(element.attrib[key]) for key in keys]

    if element.tag == 'box':
        return rotated_box(name, numbers('xtl', 'ytl', 'xbr', 'ybr'), degrees)
    if element.tag == 'polygon':
        return polygon_box(name, [float(value) for value in re.split('[,;]', element.attrib['points'])])
    if element.tag == 'ellipse':
        x, y, rx, ry = numbers('cx', 'cy', 'rx', 'ry')
        return ellipse_box(name, (x, y), (rx, ry), degrees)
    if element.tag == 'mask':
        left, top, width, height = numbers('left', 'top', 'width', 'height')
        finder.left_out['outlines of masks, whose boxes are kept'] += 1
        return corner_box(name, left, top, left + width, top + height)
    if element.tag != 'tag':
        finder.left_out[f'shapes of the kind {element.tag}, which have no area'] += 1
    return None
