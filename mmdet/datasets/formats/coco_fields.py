"""The fields of files in COCO's format: kind, range and meaning, in the one table that reading, audit and tools use.

:func:`read_fields` brings the content of a file into these kinds, in place. What can be read for sure is read (``"0"``
for 0, ``8.0`` for 8, null for "not given") and counted; everything else is an error with file, id and key. It goes
through the entries by columns, so that a million boxes take about a second.
"""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet.datasets.formats.field_kinds import MISSING, READERS, Field
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.progress import tracked

_LOGGER = logging.getLogger('mmdet')

MAX_FAULTS_NAMED = 5  # of one field
MAX_SIDE = 2**20  # px; larger sizes of images and places of corners are mistakes, and would fill the memory


_ID = Field('id', 'id', 'each once', required=True)
_CATEGORY_ID = Field('category_id', 'id', 'id of a category', required=True)
_BOX = Field('bbox', 'box', 'x, y of the upper left corner, width, height px')
_AREA = Field('area', 'number', 'px² of the object', low=0)
_CROWD = Field('iscrowd', 'flag', '1: many objects in one; an ignore region')
IMAGES = (
    _ID,
    Field('file_name', 'text', 'path below img_prefix'),
    Field('width', 'integer', 'px', low=1, high=MAX_SIDE),
    Field('height', 'integer', 'px', low=1, high=MAX_SIDE),
)
CATEGORIES = (_ID, Field('name', 'text', 'of the class', required=True))
ANNOTATIONS = (
    _ID,
    Field('image_id', 'id', 'id of an image', required=True),
    _CATEGORY_ID,
    _BOX,
    _AREA,
    _CROWD,
    Field('ignore', 'flag', '1: neither an object nor background; an ignore region, as a crowd'),
    Field('segmentation', 'segmentation', 'polygons px, or run lengths of the whole image'),
    Field('keypoints', 'numbers', 'x, y px and visibility of each point'),
    Field('num_keypoints', 'integer', 'points with a visibility above 0', low=0),
)
SEGMENTS = (_ID, _CATEGORY_ID, _BOX, _AREA, _CROWD)  # of an image's entry in a panoptic file
FIELDS = dict(images=IMAGES, categories=CATEGORIES, annotations=ANNOTATIONS)


def read_json(path: str) -> Any:
    """Content of a JSON file in UTF-8, with or without a byte-order mark, UTF-16 or UTF-32.

    Raises:
        ValueError: another encoding, or no JSON.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        return json.loads(content)
    except UnicodeDecodeError as err:
        raise ValueError(f'{path} is not in UTF-8, UTF-16 or UTF-32 ({err}); save it as UTF-8') from err
    except json.JSONDecodeError as err:
        raise ValueError(f'{path} is no valid JSON: {err}') from err
    except RecursionError as err:
        raise ValueError(f'{path} is no COCO file: its lists are nested too deeply') from err


def read_fields(content: Any, path: str, panoptic: bool = False) -> Counter[str]:
    """Bring the content of a file into the kinds of the table, in place.

    Args:
        content: of the file.
        path: of the file, for messages.
        panoptic: annotations are entries of images with ``segments_info``.

    Returns:
        What was read otherwise than it is written -> how often; also a warning of the log.

    Raises:
        ValueError: fields that are missing or cannot be read, and ids that lead nowhere; all are in the message.
    """
    _check_lists(content, path)
    faults: list[str] = []
    repairs: Counter[str] = Counter()
    tables = _tables(content, panoptic, faults)
    columns = [(name, entries, field) for name, entries, fields in tables for field in fields]
    for name, entries, field in tracked(columns, f'reading the fields of {path}'):
        faults += _read_column(name, entries, field, repairs)
    if not faults:
        faults += _link_ids(content, panoptic, repairs)
    if faults:
        listed = '\n'.join(f'  {fault}' for fault in faults)
        raise ValueError(f'{path}: {len(faults)} kinds of entries are not as the COCO format asks:\n{listed}')
    if repairs:
        _LOGGER.warning('%s: %s', path, '; '.join(f'{count} {what}' for what, count in repairs.items()))
    return repairs


def _check_lists(content: Any, path: str) -> None:
    if not isinstance(content, dict):
        raise ValueError(
            f'{path}: expected a JSON object with "images", "annotations" and "categories", got '
            f'{type(content).__name__}'
        )
    if 'images' not in content:
        near = did_you_mean('images', content)
        raise ValueError(f'{path}: there is no list "images"{near} It has: {", ".join(map(str, content)) or "nothing"}')
    if 'annotations' not in content:
        others = [name for name in content if name not in FIELDS]
        near = did_you_mean('annotations', others)
        _LOGGER.warning('%s: there is no list "annotations"%s Its images have no boxes', path, near)
    for name in FIELDS:
        entries = content.get(name, [])
        if not isinstance(entries, list):
            raise ValueError(f'{path}: "{name}" must be a list, got {type(entries).__name__}')
        if not set(map(type, entries)) <= {dict}:
            wrong = next(i for i, entry in enumerate(entries) if type(entry) is not dict)
            raise ValueError(f'{path}: "{name}" must be a list of objects; entry {wrong} is {_shown(entries[wrong])}')


def _tables(
    content: Mapping[str, Any], panoptic: bool, faults: list[str]
) -> Iterator[tuple[str, Sequence[dict], Sequence[Field]]]:
    """Name, entries and fields of each list of a file."""
    for name in ('images', 'categories'):
        yield name, content.get(name, ()), FIELDS[name]
    annotations = content.get('annotations', ())
    if not panoptic:
        yield 'annotations', annotations, ANNOTATIONS
        return
    yield 'annotations', annotations, ANNOTATIONS[1:2]
    wrong = [ann.get('image_id') for ann in annotations if not _is_list_of_dicts(ann.get('segments_info'))]
    if wrong:
        faults.append(f'annotations: segments_info of image {_listed(wrong)} is no list of objects')
        return
    yield 'segments_info', [segment for ann in annotations for segment in ann['segments_info']], SEGMENTS


def _is_list_of_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, dict) for part in value)


def _read_column(name: str, entries: Sequence[dict], field: Field, repairs: Counter[str]) -> list[str]:
    """Read one field of all entries of a list; the faults that were found, in one text."""
    key, reader = field.key, READERS[field.kind]
    values = [entry.get(key, MISSING) for entry in entries]
    if reader.all_right(values, field):
        return []
    faults, nulls, read_as = [], 0, []
    for index, (entry, value) in enumerate(zip(entries, values)):
        if value is MISSING or value is None:
            if field.required:
                faults.append(f'{_name_of(entry, index)}: {"missing" if value is MISSING else "null"}')
            elif value is None:
                del entry[key]
                nulls += 1
            continue
        read = reader.read(value)
        if read is None or not _in_range(read, field):
            faults.append(f'{_name_of(entry, index)}: {_shown(value)}')
        elif read is not value:
            entry[key] = read
            read_as.append((value, read))
    if nulls:
        repairs[f'{key} of {name} null, taken as not given'] += nulls
    if read_as:
        value, read = read_as[0]
        repairs[f'{key} of {name} of another kind, read as in {_shown(value)} -> {_shown(read)}'] += len(read_as)
    if not faults:
        return []
    return [f'{key} of {len(faults)} {name} must be {field.accepted}; {_listed(faults)}']


def _in_range(value: Any, field: Field) -> bool:
    return not isinstance(value, (int, float)) or field.low <= value <= field.high


def _name_of(entry: Mapping, index: int) -> str:
    return f'id {entry["id"]}' if isinstance(entry.get('id'), (int, str)) else f'entry {index}'


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _listed(values: Sequence[Any]) -> str:
    more = f', ... ({len(values)} in all)' if len(values) > MAX_FAULTS_NAMED else ''
    return ', '.join(map(str, values[:MAX_FAULTS_NAMED])) + more


def _link_ids(content: Mapping[str, Any], panoptic: bool, repairs: Counter[str]) -> list[str]:
    """Make ids of one kind where texts of digits and numbers are mixed; the categories that are not there."""
    annotations = content.get('annotations', ())
    objects = [segment for ann in annotations for segment in ann['segments_info']] if panoptic else annotations
    pairs = (('images', annotations, 'image_id'), ('categories', objects, 'category_id'))
    faults = []
    for name, users, key in pairs:
        entries = content.get(name, ())
        columns = ((entries, 'id'), (users, key))
        values = [[entry[own_key] for entry in column] for column, own_key in columns]
        kinds = set(map(type, itertools.chain(*values)))
        if str in kinds and len(kinds) > 1:
            for column, own_key in columns:
                _digits_to_numbers(column, own_key, f'{own_key} of {name}', repairs)
            values = [[entry[own_key] for entry in column] for column, own_key in columns]
        unknown = set(values[1]).difference(values[0])
        if unknown and name == 'categories':
            counts = Counter(value for value in values[1] if value in unknown)
            listed = _listed([f'{_shown(value)} ({count})' for value, count in counts.items()])
            faults.append(
                f'category_id of {counts.total()} annotations is not among the categories: {listed}; the '
                f'categories have {_listed([_shown(value) for value in values[0]])}'
            )
    return faults


def _digits_to_numbers(entries: Sequence[dict], key: str, name: str, repairs: Counter[str]) -> None:
    for entry in entries:
        if isinstance(entry[key], str) and entry[key].strip().isdecimal():
            entry[key] = int(entry[key])
            repairs[f'{name} texts, taken as numbers'] += 1
