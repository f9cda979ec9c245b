"""Names of classes: as an argument or in a file, and in a table with the numbers of their objects."""

from collections import Counter
from collections.abc import Iterable, Sequence

import mmcv
import numpy as np
from terminaltables import AsciiTable

from mmdet.datasets.audit.annotation_rules import format_list


def read_class_names(classes: str | Sequence[str]) -> Sequence[str]:
    """Names, or those in a file with one on each line.

    Raises:
        ValueError: there is no such file, the argument is neither, or the names are no names.
    """
    if isinstance(classes, str):
        try:
            names = mmcv.list_from_file(classes, encoding='utf-8-sig')  # with or without a byte-order mark
        except FileNotFoundError as err:
            raise ValueError(
                f'classes={classes!r} is a text, so the path of a file with a name on each line, and there is no '
                f'such file; for one class write ({classes!r},), with a comma'
            ) from err
        return check_names(names, classes)
    if isinstance(classes, list | tuple):
        return check_names(classes, 'classes')
    raise ValueError(
        f'classes: expected a list or tuple of names, or the path of a file with one on each line, got {classes!r}'
    )


def check_names(names: Sequence[str], where: str) -> Sequence[str]:
    """Check names of classes.

    Raises:
        ValueError: one is no text or empty, or is there twice.
    """
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise ValueError(f'{where}: names of classes must be texts, got {format_list(list(map(repr, wrong)))}')
    twice = [name for name, count in Counter(name.strip() for name in names).items() if count > 1]
    if twice:
        raise ValueError(
            f'{where}: {format_list(list(map(repr, twice)))} is there more than once; give each class once'
        )
    return names


def labels_to_images(labels: Iterable[Iterable[int]], num_classes: int) -> dict[int, list[int]]:
    """Label -> numbers of the images that have it, for every class; ``labels`` are those that occur in each image."""
    images: dict[int, list[int]] = {label: [] for label in range(num_classes)}
    for i, of_image in enumerate(labels):
        for label in of_image:
            images[label].append(i)
    return images


def instance_table(classes: Sequence[str], labels: Iterable[np.ndarray]) -> str:
    """A table of the number of objects of each class; ``labels`` are (n,) of each image."""
    counts: Counter[int] = Counter()
    for of_image in labels:
        counts.update(np.asarray(of_image).tolist())
    return AsciiTable([['class', 'instances'], *([name, counts[i]] for i, name in enumerate(classes))]).table
