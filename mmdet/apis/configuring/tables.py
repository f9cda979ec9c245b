"""CSV files with a line for each object."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mmdet.apis.configuring.annotations import AnnotatedImage, AnnotationError, corner_box, located, read_text
from mmdet.apis.configuring.image_finder import ImageFinder
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.progress import tracked

# what a column may be called, its letters and digits alone; the first that is there counts
FILES = ('filename', 'filepath', 'imageid', 'imagename', 'imagepath', 'image', 'img', 'path', 'file')
CLASSES = ('class', 'classname', 'label', 'labelname', 'name', 'category', 'categoryname')
LEFT, TOP = ('xmin', 'x1', 'left', 'x', 'bboxx'), ('ymin', 'y1', 'top', 'y', 'bboxy')
CORNERS = (LEFT, TOP, ('xmax', 'x2', 'right'), ('ymax', 'y2', 'bottom'))
SIZES = (LEFT, TOP, ('w', 'boxwidth', 'bboxwidth', 'width'), ('h', 'boxheight', 'bboxheight', 'height'))
LISTS = (('bbox', 'box'),)  # '[x, y, w, h]'
BARE = ('filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class')  # of a file without a line of names
DELIMITERS = ',;\t|'

Row = Sequence[str]


class Columns(NamedTuple):
    """Where each value of a line stands."""

    file: int
    name: int
    numbers: tuple[int, ...]
    as_sizes: bool  # the last two are width and height


def read_csv(path: Path, finder: ImageFinder) -> Iterator[AnnotatedImage]:
    """A line for each object: file, box, class; an image without objects has a line with its file alone.

    Boxes are corners, or the upper left corner and a size; px, or fractions of the image where no number is above 1.
    """
    lines = read_text(path).splitlines()
    delimiter = max(DELIMITERS, key=(lines or [''])[0].count)
    rows = [(number, row) for number, row in enumerate(csv.reader(lines, delimiter=delimiter), 1) if any(row)]
    columns, first = csv_columns([row for _, row in rows], path)
    by_image: dict[str, list[tuple[str, list[float], int]]] = {}
    for number, row in rows[first:]:
        image = finder.find(row[columns.file].strip())
        if image is None:
            continue
        objects = by_image.setdefault(image, [])
        name = row[columns.name].strip() if len(row) > columns.name else ''
        if name:
            objects.append((name, _box_numbers(row, columns, f'{path}: line {number}'), number))
    largest = max((max(numbers) for objects in by_image.values() for _, numbers, _ in objects), default=0.0)
    in_fractions = bool(by_image) and largest <= 1
    if in_fractions:
        finder.remarks.append('no number of the boxes is above 1: they are taken as fractions of the images')
    if columns.as_sizes:
        finder.remarks.append('x and y of the boxes are taken as their upper left corners')
    for image, objects in tracked(list(by_image.items()), 'reading annotations'):
        size = finder.size(image)
        scale = (*size, *size) if in_fractions else (1, 1, 1, 1)
        boxes = []
        for name, numbers, number in objects:
            with located(f'{path}: line {number}'):
                x1, y1, x2, y2 = (value * factor for value, factor in zip(numbers, scale))
                boxes.append(corner_box(name, x1, y1, x2, y2))
        yield AnnotatedImage(image, *size, boxes)


def _box_numbers(row: Row, columns: Columns, where: str) -> list[float]:
    """Corners of a line."""
    try:
        texts = json.loads(row[columns.numbers[0]]) if len(columns.numbers) == 1 else [row[i] for i in columns.numbers]
        x, y, right, bottom = map(float, texts)
    except (IndexError, TypeError, ValueError) as error:
        raise AnnotationError(f'{where}: expected four numbers, got {row}') from error
    return [x, y, x + right, y + bottom] if columns.as_sizes else [x, y, right, bottom]


def csv_columns(rows: Sequence[Row], path: Path) -> tuple[Columns, int]:
    """Where each value stands, and the number of the first line of values.

    Raises:
        AnnotationError: the file is empty, or names of columns are missing.
    """
    if not rows:
        raise AnnotationError(f'{path} is empty')
    heads = [re.sub(r'[\W_]', '', head.lower()) for head in rows[0]]

    def place(names: Sequence[str]) -> int | None:
        return next((heads.index(name) for name in names if name in heads), None)

    file, name = place(FILES), place(CLASSES)
    for wanted, as_sizes in ((CORNERS, False), (SIZES, True), (LISTS, True)):
        numbers = [place(names) for names in wanted]
        if file is not None and name is not None and None not in numbers:
            return Columns(file, name, tuple(number for number in numbers if number is not None), as_sizes), 1
    if len(heads) == len(BARE) and not set(heads) & {*FILES, *CLASSES, *LEFT}:
        return Columns(0, 5, (1, 2, 3, 4), False), 0
    lacking = [names[0] for names in (FILES, CLASSES, *CORNERS) if place(names) is None]
    near = did_you_mean(lacking[0], [head.strip() for head in rows[0]]) if lacking else ''
    raise AnnotationError(
        f'{path}: no column {", ".join(lacking)}{near} Columns: {", ".join(rows[0])}. Boxes may also be x, y, w, h, or '
        'bbox with [x, y, w, h]'
    )
