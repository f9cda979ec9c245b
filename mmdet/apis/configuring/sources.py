"""Several training sets: the join of their label spaces, their names, and what is said of each."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mmdet.apis.configuring.read import Annotations
from mmdet.core.directives import NEGATIVES
from mmdet.datasets.mixing.advice import LARGE_FRACTION
from mmdet.utils.errors import ReportedError
from mmdet.utils.registry import did_you_mean

# What a model needs whose sources do not annotate the same: its heads read what the images say.
SOURCES_DIFFER: Mapping[str, Any] = MappingProxyType({'directives': dict(weights=True)})


class Source(NamedTuple):
    """A training set."""

    name: str
    annotations: Annotations


class Joined(NamedTuple):
    """Common classes."""

    classes: list[str]
    rename: dict[str, str]  # name of a category -> class


def source_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: the first part from its end that differs from all others', else numbers behind it."""
    parts = [[re.sub(r'\W+', '_', part) for part in path.resolve().with_suffix('').parts[::-1]] for path in paths]
    for depth in range(min(map(len, parts), default=0)):
        names = [part[depth] for part in parts]
        if len(set(names)) == len(names) and all(names):
            return names
    return [f'{part[0]}_{i}' for i, part in enumerate(parts, 1)]


def join_classes(names_of_sources: Sequence[Sequence[str]]) -> Joined:
    """Classes of all sources; names of two sources that differ in spelling alone (:func:`spelling`) are one class."""
    classes: list[str] = []
    rename: dict[str, str] = {}
    for names in names_of_sources:
        others = {spelling(name): name for name in classes if name not in names}
        for name in names:
            if name not in classes and spelling(name) in others:
                rename[name] = others[spelling(name)]
            elif name not in classes:
                classes.append(name)
    return Joined(classes, rename)


def spelling(name: str) -> str:
    """What is left of a name without case, blanks, ``-`` and ``_``."""
    return re.sub(r'[\s_-]+', ' ', name.strip().lower())


def similar_classes(classes: Sequence[str]) -> list[str]:
    """What is said of classes of one set that differ in spelling alone."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(spelling(name), []).append(name)
    return [
        f'{" and ".join(map(repr, names))} differ in spelling alone and are {len(names)} classes; mend the annotations '
        'if they mean the same'
        for names in groups.values()
        if len(names) > 1
    ]


def image_settings(source: Source, incomplete: Sequence[str], total: int) -> tuple[dict[str, Any], str]:
    """What the config of a source says of its images' part in training, their directives, and the reason.

    Args:
        source: one of the training sets.
        incomplete: names of those that miss objects.
        total: images of all of them.
    """
    if source.name not in incomplete:
        return {}, ''
    fraction = len(source.annotations.content['images']) / max(total, 1)
    if fraction <= LARGE_FRACTION:
        return (
            {},
            f'misses objects in {fraction:.0%} of the images; up to {LARGE_FRACTION:.0%} no policy made a difference',
        )
    return (
        dict(directives={NEGATIVES: 'overlap'}),
        f'misses objects, in {fraction:.0%} of the images: regions far from a box count less',
    )


def missing_classes(source: Source, joined: Joined) -> list[str]:
    """What is said of classes that a source does not have."""
    own = {joined.rename.get(name, name) for name in source.annotations.names}
    missing = [name for name in joined.classes if name not in own]
    if not missing:
        return []
    return [
        f'{source.name} does not know {", ".join(missing)}: its images get labeled_classes by themselves, so that they',
        "are no evidence against these; missing_classes='annotated' in `train` if they are known not to be there",
    ]


def check_incomplete(incomplete: Sequence[str], names: Sequence[str]) -> None:
    """Check that the sets that miss objects are there.

    Raises:
        ReportedError: one is not.
    """
    for name in incomplete:
        if name not in names:
            raise ReportedError(
                f'--incomplete {name}: the training sets are {", ".join(names)}{did_you_mean(name, names)}'
            )
