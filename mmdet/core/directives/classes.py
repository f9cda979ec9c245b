"""Images in which only some of the classes are annotated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.directives.keys import CLASS_KEYS, LABELED_CLASSES
from mmdet.core.directives.weights import first_entry
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.device_copy import to_device

NEVER = -1e4  # a logit whose probability is 0 in float32, and whose gradient is


def restricts_classes(img_meta: Mapping[str, Any] | None) -> bool:
    """Whether only some of the classes are annotated in this image."""
    return first_entry(img_meta, CLASS_KEYS) is not None


def unlabelled_classes(img_meta: Mapping[str, Any] | None, num_classes: int) -> list[int]:
    """The labels, in ``[0, num_classes)``, that are not annotated in this image; empty where all are.

    Raises:
        ValueError: names instead of labels, labels out of range, or both keys in one image.
    """
    found = first_entry(img_meta, CLASS_KEYS)
    if img_meta is None or found is None:
        return []
    check_one_class_key(img_meta)
    key, labels = found[0], check_classes(*found)
    for label in labels:
        if isinstance(label, str):
            raise ValueError(
                f'{key}: {label!r} is a name that no data set has turned into a label. Put AddFieldToImgMetas into the '
                'pipeline of a data set with classes, or give labels'
            )
        if label >= num_classes:
            raise ValueError(f'{key}: label {label} is out of range: the head has {num_classes} classes')
    return sorted(set(range(num_classes)).difference(labels)) if key == LABELED_CLASSES else sorted(set(labels))


def unlabelled_mask(img_metas: Sequence[Mapping[str, Any]], num_classes: int, device: torch.device) -> Tensor | None:
    """(N, K) bool: the classes that are not annotated, image by image; None where all classes are in all images."""
    unlabelled = [unlabelled_classes(meta, num_classes) for meta in img_metas]
    if not any(unlabelled):
        return None
    return to_device([[label in labels for label in range(num_classes)] for labels in unlabelled], torch.bool, device)


def background_or_any(logits: Tensor, classes: Tensor) -> Tensor:
    """Logits of a softmax in which some classes count as background.

    The last column becomes the logarithm of the sum of background and those classes, which themselves become
    impossible; so cross entropy with the background is ``-log(sum of their probabilities)``, and the probabilities of
    the other classes are as they were.

    Args:
        logits: (n, K + 1), background last.
        classes: (n, K) bool.
    """
    with_background = torch.cat([classes, classes.new_ones(len(classes), 1)], dim=1)
    merged = logits.masked_fill(~with_background, float('-inf')).logsumexp(1, keepdim=True)
    return torch.cat([logits[:, :-1].masked_fill(classes, NEVER), merged], dim=1)


def without_classes(logits: Tensor, classes: Tensor) -> Tensor:
    """Logits (n, C >= K) of sigmoids that are sure not to be of ``classes`` (n, K) bool: no loss, no gradient there."""
    missing = logits.size(1) - classes.size(1)
    if missing:
        classes = torch.cat([classes, classes.new_zeros(len(classes), missing)], dim=1)
    return logits.masked_fill(classes, NEVER)


def resolve_classes(key: str, value: Sequence[Any], names: Sequence[str]) -> list[int]:
    """Names and labels of classes -> labels.

    Args:
        key: for messages.
        value: names of ``names``, or labels.
        names: classes of the data set; label i is the i-th.

    Raises:
        ValueError: a name or label that there is not.
    """
    labels = {name: label for label, name in enumerate(names)}
    out = []
    for entry in check_classes(key, value):
        if isinstance(entry, str) and entry not in labels:
            raise ValueError(f'{key}: the data set has no class {entry!r}{did_you_mean(entry, names)}')
        label = labels[entry] if isinstance(entry, str) else entry
        if label >= len(names):
            raise ValueError(f'{key}: label {label} is out of range: the data set has {len(names)} classes')
        out.append(label)
    return out


def resolve_file_classes(
    key: str, value: Sequence[Any], names: Sequence[str], category_label: Callable[[Any], int | None] | None
) -> list[int]:
    """As :func:`resolve_classes`, for a value of an annotation file, whose numbers are category ids of the file.

    Args:
        key, value, names: as there. Names and ids of what is not trained on are left out.
        category_label: gives the label of a category id, None where it is not trained on; None: numbers are labels.
    """
    value = [entry for entry in check_classes(key, value) if not isinstance(entry, str) or entry in names]
    if category_label is not None:
        value = [entry if isinstance(entry, str) else category_label(entry) for entry in value]
    return resolve_classes(key, [entry for entry in value if entry is not None], names)


def check_classes(key: str, value: Any) -> list[Any]:
    """Check the value of ``labeled_classes`` or ``unlabeled_classes``: a list of names and numbers.

    Raises:
        ValueError: it is something else.
    """
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    entries = list(value) if is_list else []
    if not is_list or any(not _is_class(entry) for entry in entries):
        raise ValueError(f'{key}: expected a list of class names or of numbers >= 0, got {value!r}')
    return entries


def _is_class(entry: Any) -> bool:
    return isinstance(entry, str) or (isinstance(entry, int) and not isinstance(entry, bool) and entry >= 0)


def check_one_class_key(img_meta: Mapping[str, Any]) -> None:
    """Check that an image says either which classes are annotated or which are not.

    Raises:
        ValueError: it says both.
    """
    if all(key in img_meta for key in CLASS_KEYS):
        raise ValueError(f'an image has both {" and ".join(CLASS_KEYS)}; keep one of them')
