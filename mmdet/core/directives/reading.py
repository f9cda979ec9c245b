"""Checking directives when a pipeline is built, and listing those of an image."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmdet.core.directives import keys
from mmdet.core.directives.classes import check_classes
from mmdet.core.directives.negatives import ALL, check_ignore_negatives, check_negative_weight, check_policy
from mmdet.core.directives.weights import check_loss_weight, loss_weight
from mmdet.utils.registry import did_you_mean

NEAR = 0.8  # fraction of a name that is a directive's, from which on it is taken for a mistake


class Directives(NamedTuple):
    """The directives of one image, as tables and logs show them; only those that are set."""

    loss_weights: dict[str, float]  # head -> weight
    ignore_negatives: bool
    negative_weights: dict[str, float] = {}  # head -> weight
    policies: dict[str, str] = {}  # key -> kind of policy
    classes: dict[str, int] = {}  # key -> number of classes
    completed: bool = False  # by a teacher


def read_directives(img_meta: Mapping[str, Any]) -> Directives:
    """All directives of one image.

    Raises:
        ValueError: a directive has an impossible value.
    """
    for key in keys.KNOWN_DIRECTIVES:
        if key in img_meta:
            check_directive(key, img_meta[key])
    weights = {
        head: loss_weight(img_meta, [head]) for head in keys.WEIGHTED_HEADS if keys.loss_weight_key(head) in img_meta
    }
    negative = {head: keys.negative_weight_key(head) for head in keys.HEADS_WITH_NEGATIVES}
    return Directives(
        loss_weights=weights,
        ignore_negatives=img_meta.get(keys.IGNORE_NEGATIVES, 0) == 1,
        negative_weights={head: float(img_meta[key]) for head, key in negative.items() if key in img_meta},
        policies={key: check_policy(key, img_meta[key]).kind for key in keys.NEGATIVES_KEYS if key in img_meta},
        classes={key: len(img_meta[key]) for key in keys.CLASS_KEYS if key in img_meta},
        completed=img_meta.get(keys.PSEUDO_LABELS) == keys.COMPLETE,
    )


def effective_keys(img_meta: Mapping[str, Any]) -> list[str]:
    """The keys of the directives that change something: a weight of 1 does not, nor does what is switched off."""
    found = read_directives(img_meta)
    effective = [keys.loss_weight_key(head) for head, weight in found.loss_weights.items() if weight != 1]
    effective += [keys.IGNORE_NEGATIVES] * found.ignore_negatives
    effective += [keys.negative_weight_key(head) for head, weight in found.negative_weights.items() if weight != 1]
    effective += [key for key, kind in found.policies.items() if kind != ALL.kind]
    return effective + list(found.classes) + [keys.PSEUDO_LABELS] * found.completed


def describe(directives: Directives) -> str:
    """``'rpn_head 0.5, ignore_negatives'``; ``'-'`` where there are none."""
    words = [f'{head} {weight:g}' for head, weight in directives.loss_weights.items()]
    words += [keys.IGNORE_NEGATIVES] * directives.ignore_negatives
    words += [f'{keys.negative_weight_key(head)} {w:g}' for head, w in directives.negative_weights.items()]
    words += [f'{key} {kind}' for key, kind in directives.policies.items()]
    words += [f'{count} {key}' for key, count in directives.classes.items()]
    words += ['pseudo labels'] * directives.completed
    return ', '.join(words) or '-'


def describe_lines(img_meta: Mapping[str, Any], class_names: Sequence[str] | None = None) -> list[str]:
    """All training directives of an image, one a line: in the words of ``describe``, classes by their names.

    Args:
        img_meta: meta information of the image.
        class_names: names by label; None: labels are written as they are.

    Raises:
        ValueError: a directive has an impossible value.
    """
    directives = read_directives(img_meta)
    words = describe(directives._replace(classes={}))
    lines = [] if words == '-' else words.split(', ')
    for key in directives.classes:
        classes = img_meta[key]
        lines.append(f'{key}: {", ".join(_class_name(c, class_names) for c in classes) or "none"}')
    return lines or ['no directives: every head has weight 1']


def _class_name(entry: Any, class_names: Sequence[str] | None) -> str:
    """The name of a class that a directive has as a name or as a label."""
    return entry if isinstance(entry, str) or class_names is None else str(class_names[int(entry)])


def check_directive(key: str, value: Any) -> None:
    """Check one key and value meant for ``img_metas``; fields that are no directives pass.

    Raises:
        ValueError: a directive with a value that it cannot have, or a name that nearly is a directive's.
    """
    if key == keys.IGNORE_NEGATIVES:
        check_ignore_negatives(value)
    elif key in keys.LOSS_WEIGHT_KEYS:
        check_loss_weight(key, value)
    elif key in keys.NEGATIVE_WEIGHT_KEYS:
        check_negative_weight(key, value)
    elif key in keys.NEGATIVES_KEYS:
        check_policy(key, value)
    elif key in keys.CLASS_KEYS:
        check_classes(key, value)
    elif key == keys.PSEUDO_LABELS:
        if value not in (keys.COMPLETE, None):
            raise ValueError(f'{key}: expected {keys.COMPLETE!r} or None, got {value!r}')
    else:
        check_directive_name(key)


def check_directive_name(key: str) -> None:
    """Check that a key is a directive's, or does not look like one.

    Raises:
        ValueError: it is none, but looks like one.
    """
    if key in keys.KNOWN_DIRECTIVES:
        return
    near = difflib.get_close_matches(key.lower(), keys.KNOWN_DIRECTIVES, 1, NEAR)
    if near or key.endswith(keys.DIRECTIVE_ENDS):
        raise ValueError(
            f'{key!r} looks like a training directive but is none{did_you_mean(key, keys.KNOWN_DIRECTIVES)} '
            f'Known: {", ".join(keys.KNOWN_DIRECTIVES)}'
        )
