"""The images of a data set with what is in them and what was detected, whatever data set or wrapper holds them."""

import bisect
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_coding

from mmdet.core.visualization.instances import to_masks
from mmdet.core.visualization.reading import read_image
from mmdet.datasets.mixing.sources import image_path, leaves_of, own_name
from mmdet.utils.errors import ResultsError

PROPOSALS = ('object',)  # the class of what an RPN finds


class Sample(NamedTuple):
    """One image of a data set; boxes are in px of the image."""

    number: int
    source: str  # name of the innermost data set that holds it
    name: str  # of its file, as the annotations have it
    dataset: Any  # the innermost data set
    own_index: int  # the image's number in that
    annotation: dict[str, Any]  # bboxes (g, 4) xyxy, labels (g,), bboxes_ignore (i, 4)
    boxes: list[NDArray[Any]]  # K arrays (n, 5) xyxy and score
    class_names: Sequence[str]  # K

    @property
    def path(self) -> str:
        """Of the image file."""
        return image_path(self.dataset, self.own_index)

    def read_image(self) -> NDArray[Any]:
        """(H, W, 3) uint8 BGR, as the data set's pipeline reads it."""
        return read_image(self.path, getattr(self.dataset, 'pipeline', None))


def locate(dataset: Any, index: int) -> tuple[Any, int]:
    """The innermost data set that holds an image of ``dataset``, and the image's number in it.

    Args:
        dataset: a data set, joined ones, or wrappers of one, to any depth.
        index: in [0, len(dataset)).

    Raises:
        IndexError: there is no such image.
    """
    if not 0 <= index < len(dataset):
        raise IndexError(f'image {index} of a data set of {len(dataset)} images')
    if hasattr(dataset, 'datasets'):
        number = bisect.bisect_right(dataset.cumulative_sizes, index)
        return locate(dataset.datasets[number], index - (dataset.cumulative_sizes[number - 1] if number else 0))
    if hasattr(dataset, 'dataset'):
        chosen = getattr(dataset, 'repeat_indices', None)
        return locate(dataset.dataset, index % len(dataset.dataset) if chosen is None else chosen[index])
    return dataset, index


def source_labels(dataset: Any) -> dict[int, str]:
    """A short name for each innermost data set, by its ``id``: its own name, its annotation file's, or its class."""
    leaves = list(leaves_of(dataset))
    names = [own_name(leaf) or Path(str(getattr(leaf, 'ann_file', ''))).stem or type(leaf).__name__ for leaf in leaves]
    counted = [f'{name} ({i})' if names.count(name) > 1 else name for i, name in enumerate(names)]
    return {id(leaf): name for leaf, name in zip(leaves, counted)}


def samples(dataset: Any, results: Sequence[Any]) -> Iterator[Sample]:
    """Every image of a data set with its ground truth and its detections.

    Args:
        dataset: a data set, joined ones, or wrappers of one.
        results: one for each image: boxes of each class; these and masks (and keypoints); a panoptic result with
            instances; or the proposals (k, 5) of an RPN, which make one class of all.

    Raises:
        ResultsError: a result is none of these, or has another number of classes than the data set; joined data sets
            have different classes; a detection is not finite; a label of an annotation is of no class.
    """
    names = source_labels(dataset)
    _check_one_label_space(dataset, names)
    for index, result in enumerate(results):
        leaf, own_index = locate(dataset, index)
        annotation = dict(leaf.get_ann_info(own_index))
        name = str(leaf.data_infos[own_index]['filename'])
        with placed(f'image {index} ({name})'):
            boxes = boxes_by_class(result)
        classes: Sequence[str] = leaf.CLASSES or [str(i) for i in range(len(boxes))]
        if isinstance(result, np.ndarray):
            classes = PROPOSALS
            annotation['labels'] = np.zeros_like(annotation['labels'])
        if len(boxes) != len(classes):
            raise ResultsError(f'a result has {len(boxes)} classes, the data set {len(classes)}: {", ".join(classes)}')
        _check_labels(annotation['labels'], classes, name)
        if getattr(leaf, 'BOXES_ARE_FRACTIONS', False):
            _to_pixels(annotation, leaf, own_index)
        yield Sample(index, names[id(leaf)], name, leaf, own_index, annotation, boxes, classes)


@contextlib.contextmanager
def placed(where: str) -> Iterator[None]:
    """Put the place in front of what is wrong with a result."""
    try:
        yield
    except ResultsError as error:
        raise ResultsError(f'{where}: {error}') from error


def _check_one_label_space(dataset: Any, names: dict[int, str]) -> None:
    """Raise a ResultsError where joined data sets have different classes, so that a label means two things."""
    leaves: list[Any] = list(leaves_of(dataset))
    first = leaves[0]
    for leaf in leaves[1:]:
        if tuple(leaf.CLASSES or ()) != tuple(first.CLASSES or ()):  # one may be a list, as the config has it
            raise ResultsError(
                f'a label means different classes in {names[id(first)]} ({", ".join(first.CLASSES or ())}) and '
                f'{names[id(leaf)]} ({", ".join(leaf.CLASSES or ())}); give the joined data set classes=(...), or '
                'report on each alone'
            )


def _check_labels(labels: NDArray[Any], classes: Sequence[str], name: str) -> None:
    wrong = [label for label in np.asarray(labels).tolist() if not 0 <= label < len(classes)]
    if wrong:
        raise ResultsError(f'the annotation of {name} has the label {wrong[0]}, the data set {len(classes)} classes')


def lies_outside(sample: Sample) -> int:
    """How many detections have their centre outside the image, where the data set knows its size."""
    return centres_outside(np.concatenate(sample.boxes), sample.dataset.data_infos[sample.own_index])


def centres_outside(rows: NDArray[Any], info: Mapping[str, Any]) -> int:
    """How many boxes (n, 4+) xyxy px have their centre outside the image of an entry with ``width`` and ``height``."""
    size_wh = info.get('width'), info.get('height')
    if None in size_wh:
        return 0
    centres = (rows[:, :2] + rows[:, 2:4]) / 2
    return int(((centres < 0) | (centres > np.array(size_wh))).any(1).sum())


def foreign_note(outside: int, count: int) -> list[str]:
    """A note where detections lie outside their images, as those of other data do."""
    if not outside:
        return []
    return [f'{outside} of {count} detections lie outside their images: are these the results of this data set?']


def boxes_by_class(result: Any) -> list[NDArray[Any]]:
    """Detections of each class (n, 5) of one image, float32; of masks without boxes their extents.

    Raises:
        ResultsError: there are none in the result, or they are no boxes.
    """
    if isinstance(result, dict):
        result = result.get('ins_results')
    if isinstance(result, np.ndarray) and result.ndim == 2:
        return [_rows(result)]
    per_class, masks = (result[0], result[1]) if isinstance(result, tuple) else (result, None)
    if not isinstance(per_class, (list, tuple)):
        raise ResultsError(
            'expected for each image a list of arrays (n, 5), one a class, or these and masks, got '
            f'{type(result).__name__}; panoptic results need instances (ins_results)'
        )
    boxes = [_rows(dets) for dets in per_class]
    if masks is None or any((dets[:, 2:4] > dets[:, :2]).any() for dets in boxes):
        return boxes
    masks = masks[0] if isinstance(masks, tuple) else masks
    return [np.concatenate([extents(own), dets[:, 4:]], 1) for own, dets in zip(masks, boxes)]


def _rows(dets: Any) -> NDArray[Any]:
    """Detections of one class (n, 5) as float32."""
    try:
        rows = np.asarray(dets, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ResultsError(f'expected arrays (n, 5) of x1, y1, x2, y2 and score: {error}') from error
    if rows.size % 5 or (rows.size and rows.shape[-1] != 5):
        raise ResultsError(f'expected arrays (n, 5) of x1, y1, x2, y2 and score, got one of shape {rows.shape}')
    rows = rows.reshape(-1, 5)
    if not np.isfinite(rows).all():
        raise ResultsError(f'a detection is not finite: {rows[~np.isfinite(rows).all(1)][0].tolist()}')
    return rows


def extents(masks: Sequence[Any]) -> NDArray[Any]:
    """The boxes (n, 4) xyxy px around masks, arrays or run lengths; an empty mask has none: zeros."""
    encoded = [
        mask if isinstance(mask, dict) else mask_coding.encode(np.asfortranarray(to_masks([mask])[0], np.uint8))
        for mask in masks
    ]
    if not encoded:
        return np.zeros((0, 4), np.float32)
    boxes = np.asarray(mask_coding.toBbox(encoded), dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _to_pixels(annotation: dict[str, Any], leaf: Any, own_index: int) -> None:
    info = leaf.data_infos[own_index]
    size = (info.get('width'), info.get('height'))
    if None in size:
        height, width = read_image(image_path(leaf, own_index), getattr(leaf, 'pipeline', None)).shape[:2]
        size = (width, height)
    for key in ('bboxes', 'bboxes_ignore'):
        if annotation.get(key) is not None:
            annotation[key] = np.asarray(annotation[key], np.float32).reshape(-1, 4) * np.array(
                [*size, *size], np.float32
            )
