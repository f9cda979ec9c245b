"""Reading one annotation file in the XML format of PASCAL VOC."""

import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import numpy as np


class VocImage(NamedTuple):
    """What an XML file says about its image."""

    width: int  # px; 0 where it is not stated
    height: int
    folder: str
    filename: str
    names: list[str]  # (n,) class of each object
    corners: np.ndarray  # (n, 4) xmin, ymin, xmax, ymax as written: pixels counted from 1, both ends inclusive
    difficult: np.ndarray  # (n,) bool


def parse_voc_xml(path: str) -> VocImage:
    """Read an annotation file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no XML, or an object has no name or no box of four numbers; the message names the file.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as err:
        raise ValueError(f'{path} is no valid XML: {err}') from err
    objects = root.findall('object')
    try:
        corners = [[int(float(_text(obj, f'bndbox/{key}'))) for key in _CORNERS] for obj in objects]
        names = [_text(obj, 'name').strip() for obj in objects]
    except ValueError as err:
        raise ValueError(f'{path}: an object has no name, or no bndbox with {", ".join(_CORNERS)} ({err})') from err
    return VocImage(
        width=_whole_number(root, 'size/width'),
        height=_whole_number(root, 'size/height'),
        folder=root.findtext('folder') or '',
        filename=(root.findtext('filename') or '').strip(),
        names=names,
        corners=np.asarray(corners, dtype=np.int64).reshape(-1, 4),
        difficult=np.asarray([_whole_number(obj, 'difficult') != 0 for obj in objects], dtype=bool),
    )


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if not text:
        raise ValueError(f'no {path}')
    return text


def _whole_number(element: ElementTree.Element, path: str) -> int:
    """A number, 0 where it is left out or a word stands for it, as in ``<difficult>Unspecified``."""
    try:
        return int(float(element.findtext(path) or 0))
    except (ValueError, OverflowError):
        return 0


_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
