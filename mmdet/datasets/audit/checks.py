"""The single checks of the audit: each takes plain values and gives the problems that it finds as texts."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmdet.datasets.audit.annotation_rules import format_list, has_area, overlaps_image
from mmdet.utils.registry import did_you_mean

WITHOUT_IMAGE = 'of images that the file does not have'
MOSTLY = 0.95  # fraction of boxes that must agree before they are taken for corners
AREA_TOLERANCE = 0.02  # of a stated area
# counts beside num_classes, of heads that tell things from stuff
PANOPTIC_COUNTS = ('num_things_classes', 'num_stuff_classes')


class BoxTable(NamedTuple):
    """All the boxes of a data set's annotations, as they are written."""

    ids: np.ndarray  # (n,) annotation ids, or file names where annotations have none
    xywh: np.ndarray  # (n, 4) px
    areas: np.ndarray  # (n,) px², as stated
    labels: np.ndarray  # (n,) -1: a category that is not among the classes
    image: np.ndarray  # (n,) number of the image's row in ``sizes_wh``; -1: there is no such image
    counts: np.ndarray  # (n,) bool: a single object, not a crowd and not to be ignored
    kept: np.ndarray  # (n,) bool: of an image that is used
    sizes_wh: np.ndarray  # (images, 2) px


def check_class_names(classes: Sequence[str] | None, in_file: Sequence[str]) -> list[str]:
    """Classes of the config that the annotation file does not have."""
    have = {name.strip() for name in in_file}
    missing = [name for name in classes or () if name.strip() not in have]
    if not missing:
        return []
    guesses = format_list([f'{name!r}{did_you_mean(name, sorted(have), 1)}'.rstrip('?.') for name in missing])
    return [
        f'{len(missing)} of {len(classes or ())} classes are not in the annotation file: {guesses}. '
        f'It has: {format_list([repr(name) for name in in_file]) or "no categories"}. '
        'Set classes=(...) of the data set to names of the file.'
    ]


def check_same_classes(classes: Mapping[str, Sequence[str] | None]) -> list[str]:
    """Joined data sets (name -> classes) whose labels mean different things."""
    (first, expected), *others = classes.items()
    return [
        f'{name} has other classes than {first}, so that their labels do not mean the same: {format_list(own or ())} '
        f'instead of {format_list(expected or ())}. Give both the same classes=(...).'
        for name, own in others
        if list(own or ()) != list(expected or ())
    ]


def check_boxes_left(boxes: int, images: int) -> list[str]:
    """Whether there is something to learn from.

    Args:
        boxes: that training uses, of all data sets together.
        images: of all data sets together.
    """
    if boxes or not images:
        return []
    return [
        f'none of the {images} images has a box to train on. Check annotation file and classes; bbox is x, y, width, '
        'height in px, and boxes below 1 px are left out.'
    ]


def check_images_left(kept: int, total: int, filtered: Mapping[str, int]) -> list[str]:
    """No image is left after filtering."""
    if kept:
        return []
    reasons = ', '.join(f'{count} {reason}' for reason, count in filtered.items())
    return [f'0 of {total} images are left{": " + reasons if reasons else ""}. Check classes and annotation file.']


def all_classes(classes: Sequence[str], head: str) -> int | None:
    """How many classes a head predicts where data do not tell things from stuff; None of a count that does.

    Args:
        classes: of the data.
        head: its name in the model, or that of a count of ``PANOPTIC_COUNTS`` behind it.
    """
    return None if head.endswith(PANOPTIC_COUNTS) else len(classes)


def check_num_classes(
    num_classes: int | Mapping[str, int] | None,
    classes: Sequence[str] | None,
    expected: Callable[[str], int | None] | None = None,
) -> list[str]:
    """Heads (or one number for all) that predict another number of classes than there are.

    Args:
        num_classes: of each head, by its name; None: not known.
        classes: of the data set; None: not known.
        expected: how many classes the head of a name must predict, None where that is not known; None: all.
    """
    if num_classes is None or classes is None:
        return []
    heads = num_classes if isinstance(num_classes, Mapping) else {'the head': num_classes}
    problems = []
    for head, count in heads.items():
        part, _, argument = head.rpartition('.')
        panoptic = argument in PANOPTIC_COUNTS
        needed = expected(head) if expected else all_classes(classes, head)
        if needed not in (None, count):
            part, argument = (part, argument) if panoptic else (head, 'num_classes')
            problems.append(
                f'{part} has {argument}={count}, but the data set has {len(classes)} classes ({format_list(classes)}). '
                f'Set {argument}={needed}.'
            )
    return problems


def find_unusable_boxes(boxes: BoxTable) -> dict[str, np.ndarray]:
    """Boxes of the classes that training cannot use, by reason: indices (k,) into the table."""
    ours = (boxes.labels >= 0) & boxes.counts
    known = boxes.image >= 0
    sizes = np.concatenate([boxes.sizes_wh, [[np.inf, np.inf]]])[boxes.image]  # row -1: no such image
    with_area = has_area(boxes.xywh, boxes.areas)
    inside = overlaps_image(boxes.xywh, sizes)
    found = {
        'without area (less than 1 px wide or high, or area 0)': ours & known & ~with_area,
        'outside their image': ours & known & with_area & ~inside,
        WITHOUT_IMAGE: ours & ~known,
    }
    return {reason: np.flatnonzero(mask) for reason, mask in found.items() if mask.any()}


def describe_unusable_boxes(boxes: BoxTable, test_mode: bool = False) -> list[str]:
    """One line for each reason for which boxes cannot be used, and what becomes of them in training or testing."""
    return [
        f'{len(index)} of {len(boxes.ids)} boxes are {reason}: {format_list(boxes.ids[index])}; '
        + ('metrics count them all the same' if test_mode and reason != WITHOUT_IMAGE else 'they are left out')
        for reason, index in find_unusable_boxes(boxes).items()
    ]


def check_corners(boxes: BoxTable) -> list[str]:
    """Boxes whose width and height are their other corner, as their image or their stated area shows of most of them.

    Images: more than half of the boxes leave them, and would lie inside as corners. Areas: they are that of the corners
    and not width x height.
    """
    known = (boxes.image >= 0) & (boxes.labels >= 0)
    if not known.any():
        return []
    xywh, ids, areas = boxes.xywh[known], boxes.ids[known], boxes.areas[known]
    leaves, as_corners = _leaves_image(boxes)[known], _inside_as_corners(boxes)[known]
    if as_corners.mean() < MOSTLY:
        return []
    meant = 'Read as two corners they would lie inside; COCO asks for x, y, width, height.'
    if leaves.mean() > 0.5:
        return [f'{leaves.sum()} of {len(xywh)} boxes leave their image: {format_list(ids[leaves])}. {meant}']
    told = np.isclose(areas, (xywh[:, 2:] - xywh[:, :2]).prod(1), rtol=AREA_TOLERANCE)
    told &= ~np.isclose(areas, xywh[:, 2:].prod(1), rtol=AREA_TOLERANCE)
    if told.mean() < MOSTLY:
        return []
    return [
        f'the areas of {told.sum()} of {len(xywh)} boxes are those of two corners, not width x height: '
        f'{format_list(ids[told])}. COCO asks for x, y, width, height.'
    ]


def _leaves_image(boxes: BoxTable) -> np.ndarray:
    """(n,) bool: boxes that reach more than a pixel over their image."""
    sizes = np.concatenate([boxes.sizes_wh, [[np.inf, np.inf]]])[boxes.image]  # row -1: no such image
    return ((boxes.xywh[:, :2] + boxes.xywh[:, 2:] > sizes + 1) | (boxes.xywh[:, :2] < -1)).any(1)


def _inside_as_corners(boxes: BoxTable) -> np.ndarray:
    """(n,) bool: boxes that would be right if width and height were their other corner."""
    sizes = np.concatenate([boxes.sizes_wh, [[np.inf, np.inf]]])[boxes.image]
    other = boxes.xywh[:, 2:]
    return ((other > boxes.xywh[:, :2]) & (other <= sizes + 1)).all(1)


def describe_overhanging_boxes(boxes: BoxTable) -> list[str]:
    """One line on boxes that lie partly outside their image, by more than a pixel."""
    ours = (boxes.labels >= 0) & boxes.counts & (boxes.image >= 0)
    partly = ours & _leaves_image(boxes)
    for index in find_unusable_boxes(boxes).values():
        partly[index] = False
    if not partly.any():
        return []
    corners = ours.sum() > 1 and _inside_as_corners(boxes)[ours].mean() >= MOSTLY
    return [
        f'{partly.sum()} of {len(boxes.ids)} boxes lie partly outside their image: {format_list(boxes.ids[partly])}; '
        'what is outside is cut off where images are resized, and metrics take them as they are'
        + ('. As two corners all would lie inside: is bbox x, y, width, height?' if corners else '')
    ]


def check_labels(boxes: BoxTable, num_classes: int | None) -> list[str]:
    """Labels that no class has."""
    wrong = (boxes.labels < 0) | (boxes.labels >= (np.inf if num_classes is None else num_classes))
    if not wrong.any():
        return []
    return [
        f'{wrong.sum()} boxes have labels outside 0 ... {"" if num_classes is None else num_classes - 1}: '
        f'{format_list(np.unique(boxes.labels[wrong]).tolist())} in {format_list(boxes.ids[wrong].tolist())}'
    ]


def usable_per_class(boxes: BoxTable, num_classes: int) -> np.ndarray:
    """(num_classes,) boxes that training sees."""
    mask = (boxes.labels >= 0) & boxes.counts & boxes.kept
    for index in find_unusable_boxes(boxes).values():
        mask[index] = False
    labels = boxes.labels[mask]
    return np.bincount(labels[labels < num_classes], minlength=num_classes)
