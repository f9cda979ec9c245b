"""Readers of annotation formats, one function each.

Libraries for this were tried first (globox 2.9, supervision 0.31, datumaro 1.13), on files with a byte-order mark,
without sizes, with polygons, without objects. Each failed on some, or left polygons out without a word.

A reader takes the path of the annotations and an :class:`ImageFinder`, and yields images. Images whose file is missing
are left out; the finder has noted them.
"""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import yaml

from mmdet.apis.configuring.annotations import (
    AnnotatedImage,
    AnnotationError,
    Box,
    ImageFinder,
    corner_box,
    polygon_box,
)
from mmdet.datasets.formats.voc_xml import parse_voc_xml
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.progress import tracked

Reader = Callable[[Path, ImageFinder], Iterator[AnnotatedImage]]


def read_json(path: Path) -> Any:
    """Content of a JSON file, with or without a byte-order mark.

    Raises:
        AnnotationError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        state = 'is empty' if path.stat().st_size == 0 else f'is no JSON: {error}'
        raise AnnotationError(f'{path} {state}') from error


def voc_files(path: Path) -> list[Path]:
    """XML files of a VOC folder, a folder with XML beside images, or a list in ``ImageSets/Main``."""
    if path.is_file():
        root = path.resolve().parents[2]
        lines = [line.split() for line in path.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
        return [root / 'Annotations' / f'{words[0]}.xml' for words in lines]
    folder = path / 'Annotations' if (path / 'Annotations').is_dir() else path
    return sorted(folder.rglob('*.xml'))


def read_voc(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """PASCAL VOC's XML, LabelImg's too. VOC counts pixels from 1, and both corners belong to the box."""
    for file in tracked(voc_files(path), 'reading annotations'):
        try:
            xml = parse_voc_xml(str(file))
        except (OSError, ValueError) as error:
            raise AnnotationError(str(error)) from error
        image = finder.find(file.stem)
        if image is not None:
            width, height = (xml.width, xml.height) if xml.width and xml.height else finder.size(image)
            corners = (xml.corners - [1, 1, 0, 0]).astype(float).tolist()
            boxes = [Box(n, tuple(c), difficult=bool(d)) for n, c, d in zip(xml.names, corners, xml.difficult)]
            yield AnnotatedImage(image, width, height, boxes)


def yolo_settings(path: Path) -> dict[str, Any]:
    """``data.yaml`` of a YOLO data set, given by its folder or itself; ``names`` are a list in it.

    Raises:
        AnnotationError: there is no such file, or it has no names.
    """
    file = path if path.is_file() else next((f for f in sorted(path.glob('*.y*ml'))), path / 'data.yaml')
    try:
        settings = yaml.safe_load(file.read_text(encoding='utf-8-sig'))
    except (OSError, yaml.YAMLError) as error:
        raise AnnotationError(f'{file} cannot be read: {error}') from error
    names = settings.get('names') if isinstance(settings, dict) else None
    if not names:
        raise AnnotationError(f'{file}: expected the key names, a list of classes or number: name')
    values = [names[i] for i in sorted(names)] if isinstance(names, dict) else names
    return {**settings, 'names': list(map(str, values)), 'file': file}


def yolo_images(settings: Mapping[str, Any], split: str) -> Path:
    """Folder of the images of a split.

    Raises:
        AnnotationError: the split or its folder is not there.
    """
    file = settings['file']
    value = settings.get(split)
    if not isinstance(value, str):
        raise AnnotationError(f'{file}: {split} must be a folder of images, got {value!r}')
    roots = [file.parent / str(settings.get('path') or ''), file.parent, file.parent.parent]
    # exports of some tools begin with one '../' too many
    tries = [root / v for root in roots for v in (value, re.sub(r'^(\.\./)+', '', value))]
    found = next((folder for folder in tries if folder.is_dir()), None)
    if found is None:
        raise AnnotationError(f'{file}: {split} is {value!r}, and there is no folder {tries[0]}')
    return found / 'images' if (found / 'images').is_dir() else found


def yolo_label_file(images: Path, name: str) -> Path:
    """The text file of an image: in ``labels`` in place of the path's last ``images``, else beside the image."""
    parts = list((images / name).parts)
    if 'images' in parts:
        last = len(parts) - 1 - parts[::-1].index('images')
        other = Path(*parts[:last], 'labels', *parts[last + 1 :]).with_suffix('.txt')
        if other.is_file():
            return other
    return (images / name).with_suffix('.txt')


def read_yolo(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """YOLO's text files: ``class x y w h``, or ``class x y x y ...`` of a polygon, as fractions of the image.

    Every image of the folder counts; one without a file, or with an empty one, has no objects.
    """
    names = yolo_settings(path)['names']
    for image in tracked(finder.files, 'reading annotations'):
        width, height = finder.size(image)
        file = yolo_label_file(finder.folder, image)
        lines = file.read_text(encoding='utf-8-sig').splitlines() if file.is_file() else []
        boxes = [
            yolo_box(line, names, (width, height), f'{file}:{i}') for i, line in enumerate(lines, 1) if line.strip()
        ]
        yield AnnotatedImage(image, width, height, boxes)


def yolo_box(line: str, names: Sequence[str], size_wh: tuple[int, int], where: str) -> Box:
    """The object of one line.

    Raises:
        AnnotationError: it is none, with its place.
    """
    try:
        label, *numbers = (float(word) for word in line.split())
    except ValueError as error:
        raise AnnotationError(f'{where}: expected numbers, got {line!r}') from error
    if not 0 <= label < len(names) or label != int(label):
        raise AnnotationError(f'{where}: class {label:g} is none of the {len(names)} names of the YAML file')
    if len(numbers) > 5 and len(numbers) % 2 == 0:
        return polygon_box(names[int(label)], (np.reshape(numbers, (-1, 2)) * size_wh).ravel().tolist())
    if len(numbers) not in (4, 5):  # the fifth is a score
        raise AnnotationError(f'{where}: expected class, x, y, w, h, got {line!r}')
    x, y, w, h = numbers[:4]
    if max(numbers[:4]) > 1.5:
        raise AnnotationError(f'{where}: expected fractions of the image, got {line!r}')
    x1, y1, x2, y2 = (np.asarray([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * [*size_wh, *size_wh]).tolist()
    return corner_box(names[int(label)], x1, y1, x2, y2)


def read_labelme(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """A folder of labelme's JSON files; shapes without an area (points, lines) are refused."""
    for file in tracked([path] if path.is_file() else sorted(path.rglob('*.json')), 'reading annotations'):
        content = read_json(file)
        if not isinstance(content, dict) or 'shapes' not in content:
            continue  # another file that lies there
        image = finder.find(content.get('imagePath') or file.stem, file.stem)
        if image is not None:
            size = int(content.get('imageWidth') or 0), int(content.get('imageHeight') or 0)
            width, height = size if all(size) else finder.size(image)
            boxes = [labelme_box(shape, f'{file}: shape {i}') for i, shape in enumerate(content['shapes'])]
            yield AnnotatedImage(image, width, height, boxes)


def labelme_box(shape: Mapping[str, Any], where: str) -> Box:
    """The object of a shape.

    Raises:
        AnnotationError: it has no area.
    """
    kind, points, name = shape.get('shape_type') or 'polygon', shape['points'], str(shape['label'])
    if kind == 'rectangle':
        return corner_box(name, *np.min(points, 0).tolist(), *np.max(points, 0).tolist())
    if kind == 'circle':
        (x, y), edge = points
        radius = float(np.hypot(edge[0] - x, edge[1] - y))
        return corner_box(name, x - radius, y - radius, x + radius, y + radius)
    if kind not in ('polygon', 'mask') or len(points) < 2 or (kind == 'polygon' and len(points) < 3):
        raise AnnotationError(f'{where}: {kind} of {len(points)} points has no area; rectangle, polygon, circle have')
    if kind == 'mask':
        return corner_box(name, *points[0], *points[1])
    return polygon_box(name, np.ravel(points).tolist())


def read_cvat(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """CVAT's "for images" XML: boxes and polygons."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise AnnotationError(f'{path} is no valid XML: {error}') from error
    if root.tag != 'annotations':
        raise AnnotationError(f'{path}: expected <annotations> of CVAT for images, got <{root.tag}>')
    for entry in tracked(root.findall('image'), 'reading annotations'):
        image = finder.find(entry.get('name', ''))
        if image is None:
            continue
        size = int(entry.get('width', 0)), int(entry.get('height', 0))
        width, height = size if all(size) else finder.size(image)
        where = f'{path}: image {entry.get("name")}'
        boxes = [cvat_box(box, where) for box in entry if box.tag in ('box', 'polygon')]
        yield AnnotatedImage(image, width, height, boxes)


def cvat_box(element: ElementTree.Element, where: str) -> Box:
    """The object of a box or polygon.

    Raises:
        AnnotationError: its coordinates are no numbers.
    """
    label = element.get('label', '')
    try:
        if element.tag == 'box':
            return corner_box(label, *(float(element.attrib[key]) for key in ('xtl', 'ytl', 'xbr', 'ybr')))
        return polygon_box(label, [float(value) for value in re.split('[,;]', element.attrib['points'])])
    except (KeyError, ValueError) as error:
        raise AnnotationError(f'{where}: a {element.tag} without numbers: {element.attrib}') from error


def read_label_studio(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """Label Studio's JSON: rectangles and polygons, in per cent. The latest annotation of a task counts."""
    for task in tracked(read_json(path), 'reading annotations'):
        data = task.get('data', {})
        name = next((v for v in data.values() if isinstance(v, str) and re.search(r'\.\w{3,4}($|\?)', v)), '')
        # uploads get a prefix of eight characters
        file_name = unquote(name.split('?d=')[-1].split('?')[0])
        image = finder.find(file_name, re.sub(r'^[0-9a-f]{8}-', '', Path(file_name).name))
        if image is None:
            continue
        width, height = finder.size(image)
        done = [a for a in task.get('annotations') or task.get('completions') or [] if not a.get('was_cancelled')]
        boxes = [label_studio_box(region, (width, height)) for region in (done[-1]['result'] if done else [])]
        yield AnnotatedImage(image, width, height, [box for box in boxes if box is not None])


def label_studio_box(region: Mapping[str, Any], size_wh: tuple[int, int]) -> Box | None:
    """The object of a region; None: it is a choice, a text or the like."""
    value = region.get('value', {})
    kind = next((key for key in ('rectanglelabels', 'polygonlabels') if value.get(key)), None)
    if kind is None:
        return None
    scale = np.asarray(size_wh) / 100
    if kind == 'polygonlabels':
        return polygon_box(value[kind][0], (np.asarray(value['points']) * scale).ravel().tolist())
    x1, y1 = np.asarray([value['x'], value['y']]) * scale
    x2, y2 = np.asarray([value['x'] + value['width'], value['y'] + value['height']]) * scale
    return corner_box(value[kind][0], float(x1), float(y1), float(x2), float(y2))


CSV_NAMES = dict(
    file=('filename', 'file_name', 'image', 'image_path', 'path', 'file'),
    name=('class', 'label', 'name', 'category'),
    x1=('xmin', 'x1', 'left'),
    y1=('ymin', 'y1', 'top'),
    x2=('xmax', 'x2', 'right'),
    y2=('ymax', 'y2', 'bottom'),
)
CSV_ORDER = ('file', 'x1', 'y1', 'x2', 'y2', 'name')  # of a file without a line of names


def read_csv(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """A line for each object: file, corners in px, class; an image without objects has a line with its file alone."""
    with path.open(newline='', encoding='utf-8-sig') as file:
        rows = [row for row in csv.reader(file) if any(row)]
    columns, first = csv_columns(rows, path)
    by_image: dict[str, list[Box]] = {}
    for number, row in enumerate(rows[first:], first + 1):
        image = finder.find(row[columns['file']])
        if image is None:
            continue
        boxes = by_image.setdefault(image, [])
        name = row[columns['name']].strip() if len(row) > columns['name'] else ''
        if name:
            try:
                corners = [float(row[columns[key]]) for key in ('x1', 'y1', 'x2', 'y2')]
            except (IndexError, ValueError) as error:
                raise AnnotationError(f'{path}: line {number}: expected four numbers, got {row}') from error
            boxes.append(corner_box(name, *corners))
    for image, boxes in tracked(list(by_image.items()), 'reading annotations'):
        yield AnnotatedImage(image, *finder.size(image), boxes)


def csv_columns(rows: Sequence[Sequence[str]], path: Path) -> tuple[dict[str, int], int]:
    """Where each value stands, and the number of the first line of values.

    Raises:
        AnnotationError: the file is empty, or names of columns are missing.
    """
    if not rows:
        raise AnnotationError(f'{path} is empty')
    heads = [head.strip().lower() for head in rows[0]]
    found = {key: next((heads.index(n) for n in names if n in heads), -1) for key, names in CSV_NAMES.items()}
    if min(found.values()) >= 0:
        return found, 1
    if max(found.values()) < 0 and len(heads) == len(CSV_ORDER):
        return {key: i for i, key in enumerate(CSV_ORDER)}, 0
    lacking = [names[0] for key, names in CSV_NAMES.items() if found[key] < 0]
    near = did_you_mean(lacking[0], heads)
    raise AnnotationError(f'{path}: no column {", ".join(lacking)}{near} Columns: {", ".join(heads)}')
