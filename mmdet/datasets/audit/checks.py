"""The single checks of the audit: each takes plain values and gives the problems that it finds as texts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmdet.datasets.audit.annotation_rules import format_list, has_area, overlaps_image
from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.utils.registry import did_you_mean


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
        f'{len(missing)} of {len(classes)} classes are not in the annotation file: {guesses}. '
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


def check_images_left(kept: int, total: int, filtered: Mapping[str, int]) -> list[str]:
    """No image is left after filtering."""
    if kept:
        return []
    reasons = ', '.join(f'{count} {reason}' for reason, count in filtered.items())
    return [f'0 of {total} images are left{": " + reasons if reasons else ""}. Check classes and annotation file.']


def check_num_classes(
    num_classes: int | Mapping[str, int] | None,
    classes: Sequence[str] | None,
    expected: Callable[[str], int] | None = None,
) -> list[str]:
    """Heads (or one number for all) that predict another number of classes than there are.

    Args:
        num_classes: of each head, by its name; None: not known.
        classes: of the data set; None: not known.
        expected: how many classes the head of a name must predict; None: all.
    """
    if num_classes is None or classes is None:
        return []
    heads = num_classes if isinstance(num_classes, Mapping) else {'the head': num_classes}
    needed = {head: expected(head) if expected else len(classes) for head in heads}
    return [
        f'{head} has num_classes={count}, but the data set has {len(classes)} classes ({format_list(classes)}). '
        f'Set num_classes={needed[head]}.'
        for head, count in heads.items()
        if count != needed[head]
    ]


def check_directives_are_read(unread: Sequence[str], directive_keys: Collection[str] | None) -> list[str]:
    """Directives that nothing in the model reads."""
    return [
        f'nothing in the model reads {key!r} (read are: {format_list(sorted(directive_keys)) or "none"}). Use heads '
        '...WithWeightPerImage and samplers ...WithIgnore, or for all of them '
        'directives=dict(weights=True, ignore_negatives=True) in the model.'
        for key in unread
    ]


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
        'of images that the file does not have': ours & ~known,
    }
    return {reason: np.flatnonzero(mask) for reason, mask in found.items() if mask.any()}


def describe_unusable_boxes(boxes: BoxTable) -> list[str]:
    """One line for each reason for which boxes cannot be used."""
    return [
        f'{len(index)} of {len(boxes.ids)} boxes are {reason}: {format_list(boxes.ids[index])}'
        for reason, index in find_unusable_boxes(boxes).items()
    ]


def check_labels(boxes: BoxTable, num_classes: int | None) -> list[str]:
    """Labels that no class has."""
    wrong = boxes.labels >= (np.inf if num_classes is None else num_classes)
    if not wrong.any():
        return []
    return [
        f'{wrong.sum()} boxes have labels outside 0 ... {num_classes - 1}: '
        f'{format_list(np.unique(boxes.labels[wrong]))} in {format_list(boxes.ids[wrong])}'
    ]


def usable_per_class(boxes: BoxTable, num_classes: int) -> np.ndarray:
    """(num_classes,) boxes that training sees."""
    mask = (boxes.labels >= 0) & boxes.counts & boxes.kept
    for index in find_unusable_boxes(boxes).values():
        mask[index] = False
    labels = boxes.labels[mask]
    return np.bincount(labels[labels < num_classes], minlength=num_classes)


def choose_samples(total: int, limit: int) -> list[int]:
    """Numbers of at most ``limit`` images, evenly spread from the first to the last."""
    return sorted({round(i) for i in np.linspace(0, total - 1, min(limit, total))}) if total and limit > 0 else []


def check_files(infos: Sequence[Mapping], limit: int, read_size: Callable[[Mapping], tuple[int, int]]) -> list[str]:
    """Read some images: files that are missing, cannot be read, or have another size than the annotations say.

    Args:
        infos: entries of the images, with ``filename``, ``width`` and ``height`` px.
        limit: how many to read.
        read_size: width and height of an image, from its entry; raises BrokenImageError.
    """
    broken, wrong_size = [], []
    samples = choose_samples(len(infos), limit)
    for i in samples:
        info = infos[i]
        try:
            size = read_size(info)
        except BrokenImageError as err:
            broken.append(str(err))
            continue
        if 'width' in info and size != (info['width'], info['height']):
            wrong_size.append(f'{info["filename"]} ({info["width"]}x{info["height"]} stated, {size[0]}x{size[1]} read)')
    problems = []
    if broken:
        problems.append(
            f'{len(broken)} of {len(samples)} images looked at cannot be read: {format_list(broken)}. '
            'Check img_prefix and data_root, or mend the files.'
        )
    if wrong_size:
        problems.append(
            f'{len(wrong_size)} of {len(samples)} images looked at have another size than the annotations say: '
            f'{format_list(wrong_size)}. Boxes would not fit them; with width and height swapped, a rotation is '
            "stored in the file: LoadImageFromFile(color_type='color_ignore_orientation') leaves it aside."
        )
    return problems
