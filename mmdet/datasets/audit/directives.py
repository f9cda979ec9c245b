"""The directives of the images of a data set: the audit's look at the training directives."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmdet.core.directives import CLASS_KEYS, describe, effective_keys, read_directives
from mmdet.datasets.audit.annotation_rules import format_list
from mmdet.datasets.mixing.image_fields import directive_steps, fields_of_image
from mmdet.datasets.mixing.verified_classes import unread_list

MAX_VALUES_SHOWN = 4  # of a field that the images' entries have; the rarer ones are only counted


def describe_directives(dataset: Any, directive_keys: Collection[str] | None = None) -> tuple[str, list[str]]:
    """The directives that the data set's pipeline gives its images, and what is wrong with that.

    Args:
        dataset: with a pipeline.
        directive_keys: keys of the directives that the model reads; None: not known.

    Returns:
        A text for the table, with counts of the values that come from the images' entries; and the problems.
    """
    steps = directive_steps(dataset)
    from_entries = {field for step in steps for field in step.info_keys}
    infos = getattr(dataset, 'data_infos', []) if from_entries else [None]
    values: dict[str, list[Any]] = defaultdict(list)
    unread: set[str] = set()
    faults: dict[str, list[str]] = defaultdict(list)
    constant: dict[str, Any] = {}
    for img_info in infos:
        try:
            fields = fields_of_image(steps, img_info)
            unread.update(effective_keys(fields))
        except (KeyError, ValueError) as err:
            faults[str(err.args[0])].append(image_name(img_info))
            continue
        constant = {field: value for field, value in fields.items() if field not in from_entries}
        for field in from_entries:
            values[field].append(fields[field])
    problems = [
        fault if infos == [None] else f'{fault} (images: {format_list(names)})' for fault, names in faults.items()
    ]
    if directive_keys is not None:
        problems += check_directives_are_read(unread, directive_keys)
    problems += unread_list(dataset, [key for step in steps for key in step.info_keys.values()])
    if faults and not values:
        return '?', problems
    words = [describe(read_directives(constant))] + [value_counts(field, values[field]) for field in sorted(values)]
    return ', '.join(word for word in words if word != '-') or '-', problems


def check_directives_are_read(given: Collection[str], read: Collection[str]) -> list[str]:
    """What is wrong with keys of directives that images have and nothing in the model reads."""
    return [
        f'nothing in the model reads {key!r} (read are: {format_list(sorted(read)) or "none"}). Use heads '
        '...WithWeightPerImage and samplers ...WithIgnore, or for all of them '
        'directives=dict(weights=True, ignore_negatives=True) in the model.'
        for key in sorted(set(given).difference(read))
    ]


def image_name(img_info: Mapping[str, Any] | None) -> str:
    """The file name in an image's entry, else its id."""
    info = img_info or {}
    return str(info.get('filename', info.get('file_name', info.get('id', '?'))))


def value_counts(field: str, values: Sequence[Any]) -> str:
    """``'weight: 0.5 (5), 1 (3)'``, values with their numbers of images, most frequent first.

    Of many different lists of classes only the lengths are counted: ``'labeled_classes: 12 classes (5), 9 classes
    (3)'``.
    """
    counts = Counter(map(str, values))
    if field in CLASS_KEYS and len(counts) > MAX_VALUES_SHOWN:
        counts = Counter(f'{len(value)} class{"es" * (len(value) != 1)}' for value in values)
    shown = counts.most_common(MAX_VALUES_SHOWN)
    words = [f'{value} ({count})' for value, count in shown]
    rest = len(counts) - len(shown)
    return f'{field}: {", ".join(words)}' + (f', and {rest} other values' if rest else '')
