"""The files of Open Images: classes, boxes, labels of whole images, the tree of classes.

Two families: Open Images V6, whose tables have a head line, and the challenge of 2019, whose boxes stand in a text
file.
"""

import csv
import io
import json
import os.path as osp
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmdet.utils.registry import did_you_mean

# flags of each box, in the order of the columns of ``BoxTable.flags``
FLAGS = ('IsOccluded', 'IsTruncated', 'IsGroupOf', 'IsDepiction', 'IsInside')
CORNERS = ('XMin', 'YMin', 'XMax', 'YMax')


class ClassTable(NamedTuple):
    """Classes of a data set; label i is ``names[i]``."""

    names: list[str]
    label_of: dict[str, int]  # machine name, such as '/m/01g317' -> label


class BoxTable(NamedTuple):
    """All boxes of a file; those of image i are rows ``starts[i]`` to ``starts[i + 1]``, in the file's order."""

    filenames: list[str]  # N
    starts: np.ndarray  # (N + 1,)
    bboxes: np.ndarray  # (n, 4) float32 xyxy, as fractions of the image's width and height
    labels: np.ndarray  # (n,) int32
    flags: np.ndarray  # (n, 5) bool, see FLAGS

    def rows(self, image: int) -> slice:
        """Rows of the boxes of one image."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))


def read_classes(lines: Iterable[str], path: str) -> ClassTable:
    """Classes of Open Images V6, ``machine name,name`` a line; a head line is passed over.

    Raises:
        ValueError: a line without two columns.
    """
    table = ClassTable([], {})
    for row in _rows(lines, path, 2):
        if row[0] != 'LabelName':
            table.label_of[row[0]] = len(table.names)
            table.names.append(row[1])
    return table


def read_challenge_classes(lines: Iterable[str], path: str) -> ClassTable:
    """Classes of the challenge, ``machine name,name,number`` a line, in any order, numbers from 1.

    Raises:
        ValueError: a line without three columns, or numbers that are not 1 to the number of classes.
    """
    rows = sorted(_rows(lines, path, 3), key=lambda row: int(row[2]))
    if [int(row[2]) for row in rows] != list(range(1, len(rows) + 1)):
        raise ValueError(f'{path}: expected the numbers 1 to {len(rows)} in the third column, each once')
    return ClassTable([row[1] for row in rows], {row[0]: int(row[2]) - 1 for row in rows})


def _rows(lines: Iterable[str], path: str, width: int) -> Iterator[list[str]]:
    for number, row in enumerate(csv.reader(lines), 1):
        if row and len(row) < width:
            raise ValueError(f'{path}, line {number}: expected {width} columns, got {row}')
        if row:
            yield row


def read_boxes(lines: Iterable[str], path: str, label_of: Mapping[str, int]) -> BoxTable:
    """Boxes of Open Images V6, a line each, in any order.

    Args:
        lines: of the table, with its head line.
        path: for messages.
        label_of: machine name of a class -> label.

    Raises:
        ValueError: a column is missing, or a line has an unknown class or no numbers.
    """
    reader = csv.reader(lines)
    name_at, label_at, *value_at = _columns(next(reader, []), ('ImageID', 'LabelName', *CORNERS, *FLAGS), path)
    # arrays of plain numbers: lists of objects would take a hundred bytes for each number of 14 million boxes
    image_of, labels, values = array('i'), array('i'), array('f')
    number_of: dict[str, int] = {}
    for row in reader:
        try:
            labels.append(label_of[row[label_at]])
            values.extend([float(row[i]) for i in value_at])
        except KeyError as err:
            raise ValueError(
                f'{path}, line {reader.line_num}: class {row[label_at]!r} is not in the file of classes'
                f'{did_you_mean(row[label_at], label_of)}'
            ) from err
        except (ValueError, IndexError) as err:
            raise ValueError(f'{path}, line {reader.line_num}: {err}; the line is {row}') from err
        image_of.append(number_of.setdefault(row[name_at], len(number_of)))
    return _group(
        [f'{name}.jpg' for name in number_of],
        np.asarray(image_of, dtype=np.int64),
        np.asarray(labels, dtype=np.int32),
        np.asarray(values, dtype=np.float32).reshape(-1, len(CORNERS) + len(FLAGS)),
    )


def _columns(head: Sequence[str], names: Sequence[str], path: str) -> list[int]:
    missing = [name for name in names if name not in head]
    if missing:
        raise ValueError(f'{path}: there is no column {", ".join(missing)}; the head line has {", ".join(head)}')
    return [head.index(name) for name in names]


def _group(filenames: list[str], image_of: np.ndarray, labels: np.ndarray, values: np.ndarray) -> BoxTable:
    """Boxes sorted by image (stable)."""
    order = np.argsort(image_of, kind='stable')
    counts = np.bincount(image_of, minlength=len(filenames))
    values = values[order]
    # -1 stands for "unknown"
    return BoxTable(
        filenames, np.concatenate([[0], counts.cumsum()]), values[:, :4].copy(), labels[order], values[:, 4:] == 1
    )


def read_challenge_boxes(lines: Sequence[str], path: str, num_classes: int) -> BoxTable:
    """Boxes of the challenge: for each image its file name, a line that is not used, the number of boxes, the boxes.

    A box is ``number of the class, from 1; x1 y1 x2 y2 as fractions; 1 for a group``, between blanks.

    Raises:
        ValueError: a block is not as it should be.
    """
    filenames, counts, numbers, at = [], [], array('f'), 0
    end = max((i for i, line in enumerate(lines, 1) if line.strip()), default=0)
    while at < end:
        try:
            count = int(lines[at + 2])
            block = [[float(word) for word in line.split()[:6]] for line in lines[at + 3 : at + 3 + count]]
            if len(block) != count or any(len(row) != 6 or not 1 <= row[0] <= num_classes for row in block):
                raise ValueError(f'expected {count} lines of a class from 1 to {num_classes}, four corners and 0 or 1')
        except (ValueError, IndexError) as err:
            raise ValueError(f'{path}, block from line {at + 1} ({lines[at].strip()!r}): {err}') from err
        filenames.append(lines[at].strip())
        counts.append(count)
        numbers.extend([number for row in block for number in row])
        at += 3 + count
    values = np.asarray(numbers, dtype=np.float32).reshape(-1, 6)
    flags = np.zeros((len(values), len(FLAGS)), dtype=bool)
    flags[:, FLAGS.index('IsGroupOf')] = values[:, 5] == 1
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    return BoxTable(filenames, starts, values[:, 1:5].copy(), values[:, 0].astype(np.int32) - 1, flags)


def read_image_labels(lines: Iterable[str], path: str, label_of: Mapping[str, int]) -> dict[str, list[tuple]]:
    """Labels of whole images: image id -> pairs of label and confidence (1: there; 0: a person looked, not there).

    Raises:
        ValueError: a column is missing, or a line has an unknown class.
    """
    reader = csv.reader(lines)
    name_at, label_at, confidence_at = _columns(next(reader, []), ('ImageID', 'LabelName', 'Confidence'), path)
    found: dict[str, list[tuple]] = {}
    for row in reader:
        if row[label_at] not in label_of:
            raise ValueError(f'{path}, line {reader.line_num}: class {row[label_at]!r} is not in the file of classes')
        found.setdefault(row[name_at], []).append((label_of[row[label_at]], float(row[confidence_at])))
    return found


def image_label_arrays(pairs: Sequence[tuple]) -> dict[str, np.ndarray]:
    """Pairs of label and confidence as ``image_level_labels`` (m,) int64 and ``confidences`` (m,) float32."""
    table = np.asarray(pairs).reshape(-1, 2)
    return dict(image_level_labels=table[:, 0].astype(np.int64), confidences=table[:, 1].astype(np.float32))


def ancestors_from_tree(
    node: Mapping[str, Any],
    matrix: np.ndarray,
    label_of: Mapping[str, int],
    parents: Sequence[int] = (),
    get_all_parents: bool = True,
) -> np.ndarray:
    """Mark, in place, the ancestors of every class below a node of the tree.

    Args:
        node: of the tree, with ``Subcategory``, a list of nodes with a ``LabelName``. A class that is not in
            ``label_of`` is passed over; what is below it stays below its parents.
        matrix: (K, K); row: class, column: its ancestors.
        label_of: machine name -> label.
        parents: labels above the node's children.
        get_all_parents: all ancestors, not only the nearest ones.

    Returns:
        The matrix.
    """
    for child in node.get('Subcategory', ()):
        label = label_of.get(child.get('LabelName'))
        below = list(parents)
        if label is not None:
            matrix[label, list(parents)] = 1
            below = [label, *(parents if get_all_parents else ())]
        ancestors_from_tree(child, matrix, label_of, below, get_all_parents)
    return matrix


def read_ancestors(path: str, label_of: Mapping[str, int], content: bytes) -> np.ndarray:
    """(K, K) bool from a file of the hierarchy: row: class, column: itself and its ancestors.

    Args:
        path: ``.json``, the tree of Open Images; else an array of numpy, (K, K) or, counted from 1, (K + 1, K + 1).
        label_of: machine name -> label.
        content: of the file.

    Raises:
        ValueError: an array of another size, or one that holds more than plain numbers.
    """
    size = len(label_of)
    if osp.splitext(path)[1] == '.json':
        return ancestors_from_tree(json.loads(content), np.eye(size), label_of).astype(bool)
    matrix = np.load(io.BytesIO(content), allow_pickle=False)
    if matrix.shape == (size + 1, size + 1):
        matrix = matrix[1:, 1:]
    if matrix.shape != (size, size):
        raise ValueError(f'{path}: expected ({size}, {size}) or one more each way, got {matrix.shape}')
    return matrix.astype(bool) | np.eye(size, dtype=bool)
