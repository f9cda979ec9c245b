"""Results of a data set from files: what ``tools/test.py --out`` wrote, or lists in COCO's form."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdet.apis.launch import UserError
from mmdet.apis.report.samples import locate, source_labels
from mmdet.apis.results import load_results
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.mixing.sources import leaves_of

STEM = 'results'
VAL_STEM = 'results_val'  # of what the end of a training leaves
ENDINGS = ('.npz', '.pkl')
COCO_KEYS = ('image_id', 'category_id', 'bbox', 'score')


def find_results(work_dir: Path, split: str | None) -> tuple[list[Path], str]:
    """The results in a work folder, and the data that they are of, ``'test'`` or ``'val'``.

    Args:
        work_dir: the folder; ``results.npz`` or ``.pkl`` are of ``data.test``, ``results_val.npz`` of ``data.val``.
        split: which of the two is wanted; None: the first that is there.
    """
    for stem, name in ((STEM, 'test'), (VAL_STEM, 'val')):
        found = [path for ending in ENDINGS if (path := work_dir / f'{stem}{ending}').is_file()]
        if found and split in (None, name):
            return [max(found, key=lambda path: path.stat().st_mtime)], name
    return [], split or 'test'


def read_results(paths: Sequence[Path], dataset: Any) -> list[Any]:
    """One result for each image of a data set.

    Args:
        paths: one ``.npz`` or ``.pkl``; or lists of COCO's results (``.json``), one for each innermost data set, in
            their order.
        dataset: a data set, joined ones, or wrappers of one.

    Raises:
        UserError: there is no such file, or it does not belong to the data set.
    """
    if not any(path.suffix == '.json' for path in paths):
        if len(paths) != 1:
            raise UserError(f'--results: expected one file, got {len(paths)}: several are possible of .json only')
        return load_results(str(paths[0]), dataset)
    leaves, names = list(leaves_of(dataset)), source_labels(dataset)
    if len(paths) != len(leaves):
        raise UserError(
            f'--results: {len(paths)} files for {len(leaves)} data sets; give a .json for each, in the order '
            f'{", ".join(names.values())}'
        )
    own = {id(leaf): _from_coco(path, leaf) for path, leaf in zip(paths, leaves)}
    places = [locate(dataset, index) for index in range(len(dataset))]
    return [own[id(leaf)][own_index] for leaf, own_index in places]


def _from_coco(path: Path, leaf: Any) -> list[list[np.ndarray[Any, Any]]]:
    if not path.is_file():
        raise UserError(f'there are no results at {path}')
    if not isinstance(leaf, CocoDataset):
        raise UserError(f'{path}: lists in COCO format are of a CocoDataset, not of a {type(leaf).__name__}')
    entries = _coco_entries(path)
    place = {img_id: i for i, img_id in enumerate(leaf.img_ids)}
    num_classes = len(leaf.CLASSES or ())
    rows: list[list[list[Any]]] = [[[] for _ in range(num_classes)] for _ in leaf.img_ids]
    for number, entry in enumerate(entries):
        if entry['image_id'] not in place:
            raise UserError(f'{path}, entry {number}: image_id {entry["image_id"]} is not in {leaf.ann_file}')
        label = leaf.cat2label.get(entry['category_id'])
        if label is None:
            raise UserError(f'{path}, entry {number}: category_id {entry["category_id"]} is of no class of the config')
        x, y, width, height = entry['bbox']
        rows[place[entry['image_id']]][label].append([x, y, x + width, y + height, entry['score']])
    return [[np.asarray(own, np.float32).reshape(-1, 5) for own in image] for image in rows]


def _coco_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a list in COCO's form, each with the keys that are read."""
    try:
        entries = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path} is no JSON: {error}') from error
    if not isinstance(entries, list):
        raise UserError(f'{path}: expected a list of detections, got {type(entries).__name__}')
    for number, entry in enumerate(entries):
        lacking = [key for key in COCO_KEYS if not isinstance(entry, dict) or key not in entry]
        if lacking or np.shape(entry['bbox']) != (4,):
            what = f'lacks {", ".join(lacking)}' if lacking else f'has the bbox {entry["bbox"]}, not [x, y, w, h]'
            raise UserError(f'{path}, entry {number} {what}; expected {", ".join(COCO_KEYS)}')
    return entries
