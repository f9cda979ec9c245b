"""Data sets with different categories, brought to common classes: by name, with a table of what became of what."""

import contextlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
from terminaltables import AsciiTable

from mmdet.core.directives import CLASS_KEYS, LABELED_CLASSES, check_directive
from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.utils.registry import did_you_mean

# old name -> new name; None: the category is not used
Rename = Mapping[str, str | None]
# what a class that a source's annotations do not know means there
MISSING_POLICIES = ('unlabeled', 'annotated')


def class_names(classes: str | Sequence[str]) -> list[str]:
    """Names, or those in a file with one on each line."""
    return mmcv.list_from_file(classes) if isinstance(classes, str) else list(classes)


def into_label_space(cfg: Any, classes: Sequence[str], rename: Rename) -> Any:
    """The config of a source, with its wrappers, whose labels shall be those of ``classes``.

    Classes that the innermost config gives itself are names of its own annotations, and become ``source_classes``.

    Args:
        cfg: config of a data set or of a wrapper, or a list of them; not changed.
        classes: the common classes.
        rename: of all sources; a data set's own ``rename`` goes before it.
    """
    if isinstance(cfg, list | tuple):
        return [into_label_space(part, classes, rename) for part in cfg]
    cfg = dict(cfg)
    inner = [key for key in ('dataset', 'datasets') if key in cfg]
    for key in inner:
        cfg[key] = into_label_space(cfg[key], classes, rename)
    if inner:
        return cfg
    own = cfg.pop('classes', None)
    if own is not None and class_names(own) != list(classes):
        cfg.setdefault('source_classes', class_names(own))
    names = {**rename, **(cfg.get('rename') or {})}
    return {**cfg, 'classes': list(classes), **({'rename': names} if names else {})}


def labels_of_names(
    classes: Sequence[str], rename: Rename | None = None, source_classes: Sequence[str] | None = None
) -> dict[str, int]:
    """Name in the annotations -> label; names that no class has, or that are not used, are left out.

    Args:
        classes: label i is the i-th.
        rename: old name -> one of the classes.
        source_classes: the names that are used; None: all.
    """
    rename = rename or {}
    label = {name.strip(): i for i, name in enumerate(classes)}
    names = [*classes, *rename] if source_classes is None else source_classes
    renamed = {name: rename.get(name, name) for name in names}
    return {old: label[new.strip()] for old, new in renamed.items() if new is not None and new.strip() in label}


def label_table(source_classes: Sequence[str], classes: Sequence[str], rename: Rename | None) -> np.ndarray:
    """(S,) for each label of a source the common one; -1: not used."""
    labels = labels_of_names(classes, rename, source_classes)
    return np.asarray([labels.get(name, -1) for name in source_classes], dtype=np.int64)


def classes_of_source(
    source_classes: Sequence[str] | None, classes: Sequence[str], rename: Rename | None
) -> list[str] | None:
    """The common classes that a source's annotations know, by label; None: their names are not stated."""
    if source_classes is None:
        return None
    table = label_table(source_classes, classes, rename)
    return [classes[label] for label in sorted(set(table.tolist()) - {-1})]


def relabel_annotations(annotations: Sequence[dict], table: np.ndarray) -> list[dict]:
    """Annotations (``bboxes`` (n, 4), ``labels`` (n,)) with other labels; boxes of labels that are not used go.

    Args:
        annotations: one for each image; not changed.
        table: (S,) label -> new label or -1.

    Raises:
        ValueError: a label that is not in ``[0, S)``.
    """
    labels = [np.asarray(ann['labels'], dtype=np.int64).reshape(-1) for ann in annotations]
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *labels])
    wrong = (flat < 0) | (flat >= len(table))
    if wrong.any():
        raise ValueError(f'label {flat[wrong][0]}: source_classes has names for labels 0 ... {len(table) - 1} only')
    renewed = np.split(table[flat], np.cumsum([len(own) for own in labels])[:-1])
    return [_with_labels(ann, own) for ann, own in zip(annotations, renewed)]


def relabel_entries(
    infos: Sequence[dict],
    source_classes: Sequence[str] | None,
    classes: Sequence[str],
    rename: Rename | None,
    where: str,
) -> list[dict]:
    """Entries of images with the labels of common classes in ``ann``.

    Args:
        infos: not changed.
        source_classes: the names that 0, 1, ... stand for.
        classes: the common ones.
        rename: name -> common name, or None.
        where: the data set and its file, for messages.

    Raises:
        ValueError: the names are not known, or an entry has no annotations.
    """
    if source_classes is None or any('ann' not in info for info in infos):
        raise ValueError(
            f'{where}: the names of the categories are not known, so rename={rename} cannot be followed; '
            'give source_classes=[...], the names of the labels 0, 1, ...'
        )
    table = label_table(source_classes, classes, rename)
    annotations = relabel_annotations([info['ann'] for info in infos], table)
    return [{**info, 'ann': ann} for info, ann in zip(infos, annotations)]


def _with_labels(ann: dict, labels: np.ndarray) -> dict:
    used = labels >= 0
    boxes = np.asarray(ann['bboxes'], dtype=np.float32).reshape(-1, 4)
    return {**ann, 'bboxes': boxes[used], 'labels': labels[used]}


def rename_categories(coco: COCO, rename: Rename | None, source_classes: Sequence[str] | None, where: str) -> None:
    """Rename the categories of an annotation file, and leave out those that are not used; ``coco`` is changed.

    Categories that get one name become one, with the id of the first; evaluation then counts them as one. It is
    annotated in an image (``labeled_classes``, ``unlabeled_classes`` of the image's entry) where all of them are.

    Args:
        coco: the file.
        rename: old name -> new name, None for a category that is not used; names that the file does not have pass, as
            one table may serve several files.
        source_classes: the names (as the file has them) that are used; None: all.
        where: the file's name, for messages.

    Raises:
        ValueError: a name of ``source_classes`` that the file does not have.
    """
    categories = coco.dataset.get('categories', [])
    in_file = [cat['name'].strip() for cat in categories]
    for name in source_classes or ():
        if name.strip() not in in_file:
            raise ValueError(f'{where}: the file has no category {name!r}{did_you_mean(name, in_file)}')
    used = set(in_file if source_classes is None else (name.strip() for name in source_classes))
    kept: dict[str, dict] = {}
    new_id: dict[Any, Any] = {}
    for cat, name in zip(categories, in_file):
        name = (rename or {}).get(name, name) if name in used else None
        if name is not None:
            new_id[cat['id']] = kept.setdefault(name, {**cat, 'name': name})['id']
    coco.dataset['categories'] = list(kept.values())
    _set_category_ids(coco.dataset.get('annotations', []), new_id)
    ids_of: dict[Any, list[int]] = {
        cat['name']: [old for old, new in new_id.items() if new == cat['id']] for cat in kept.values()
    }
    ids_of |= {entry: [cat['id']] for cat, name in zip(categories, in_file) for entry in (cat['id'], name)}
    _set_classes_of_images(coco.dataset.get('images', []), new_id, ids_of)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco.createIndex()
    coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs


def _set_category_ids(annotations: Sequence[dict], new_id: Mapping[int, int]) -> None:
    """Write the ids of merged categories; those of categories that are not used stay, and mean nothing any more."""
    changed = {old: new for old, new in new_id.items() if old != new}
    ids = np.asarray([ann['category_id'] for ann in annotations])
    for i in np.flatnonzero(np.isin(ids, list(changed))):
        annotations[i]['category_id'] = changed[annotations[i]['category_id']]


def _set_classes_of_images(images: Sequence[dict], new_id: Mapping[int, int], ids_of: Mapping) -> None:
    """Write the new ids into what the images say of which classes are annotated in them.

    Args:
        images: entries of the file.
        new_id: old id -> new id of the categories that are used.
        ids_of: what an entry may call categories, an id or a name -> their old ids.

    Raises:
        ValueError: an entry has something else than a list of classes.
    """
    merged = Counter(new_id.values())
    for image in images:
        for key in image.keys() & set(CLASS_KEYS):
            check_directive(key, image[key])
            listed = {old for entry in image[key] for old in ids_of.get(entry, ())}
            counts = Counter(new_id[old] for old in listed if old in new_id)
            image[key] = sorted(new for new, n in counts.items() if key != LABELED_CLASSES or n == merged[new])


def match_table(
    classes: Sequence[str], sources: Mapping[str, Sequence[str] | None], policies: Mapping[str, str]
) -> str:
    """What each source has of each class, as a table.

    Args:
        classes: the common ones.
        sources: name -> classes that its annotations know; None: not known, taken for all.
        policies: name -> one of :data:`MISSING_POLICIES`.
    """
    rows = [['class', *sources]]
    for name in classes:
        cells = ['yes' if known is None or name in known else f'no: {policies[own]}' for own, known in sources.items()]
        rows.append([name, *cells])
    return AsciiTable(rows).table


def check_classes_known(classes: Sequence[str], sources: Mapping[str, Sequence[str] | None], rename: Rename) -> None:
    """Check that each class is known to a source, and that names are changed to classes.

    Raises:
        ValueError: one is not.
    """
    for old, new in rename.items():
        if new is not None and new not in classes:
            raise ValueError(
                f'rename: {old!r} becomes {new!r}, which is none of the classes{did_you_mean(new, classes)}'
            )
    if any(known is None for known in sources.values()):
        return
    for name in classes:
        if not any(name in known for known in sources.values()):
            raise ValueError(
                f'no data set has the class {name!r}; their names are matched after rename={dict(rename)}. '
                f'Data sets: {", ".join(sources)}'
            )
