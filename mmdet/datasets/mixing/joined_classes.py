"""The classes of joined data sets: what each source has annotated, written to its images and to the log."""

import logging
from collections.abc import Mapping, Sequence

from torch.utils.data import Dataset

from mmdet.datasets.mixing.image_fields import append_step
from mmdet.datasets.mixing.label_spaces import MISSING_POLICIES, Rename, check_classes_known, match_table
from mmdet.datasets.mixing.sources import leaves_of
from mmdet.datasets.pipelines.custom_formatting import states_annotated
from mmdet.utils.registry import did_you_mean

_LOGGER = logging.getLogger('mmdet')


def join_label_spaces(
    datasets: Sequence[Dataset],
    names: Sequence[str],
    classes: Sequence[str],
    rename: Rename,
    missing: str | Mapping[str, str],
) -> None:
    """Check sources of common classes, log what was matched, and mark in their images what is not annotated.

    Args:
        datasets: the sources, built with the common classes.
        names: theirs.
        classes: the common classes.
        rename: names that were changed in all of them.
        missing: see ``ConcatDataset``.

    Raises:
        ValueError: see ``ConcatDataset``; or a source has other classes.
    """
    policies = missing_policies(missing, names)
    known = {name: known_classes(dataset, name, classes) for name, dataset in zip(names, datasets)}
    check_classes_known(classes, known, rename)
    for name, dataset in zip(names, datasets):
        if known[name] is not None:
            for leaf in leaves_of(dataset):
                note_missing_classes(leaf, name, classes, policies[name])
    _LOGGER.info('classes of the joined data sets\n%s', match_table(classes, known, policies))


def missing_policies(missing: str | Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The policy of each source.

    Raises:
        ValueError: no such policy or source.
    """
    given = dict(missing) if isinstance(missing, Mapping) else dict.fromkeys(names, missing)
    for name, policy in given.items():
        if name not in names:
            raise ValueError(f'missing_classes: no data set is called {name!r}{did_you_mean(name, names)}')
        if policy not in MISSING_POLICIES:
            raise ValueError(f'missing_classes: expected one of {", ".join(MISSING_POLICIES)}, got {policy!r}')
    return {**dict.fromkeys(names, MISSING_POLICIES[0]), **given}


def known_classes(dataset: Dataset, name: str, classes: Sequence[str]) -> list[str] | None:
    """The classes that a source's annotations know, in the order of ``classes``; None: not stated for all of it.

    Raises:
        ValueError: a data set of the source has other classes.
    """
    found: set[str] = set()
    stated = True
    for leaf in leaves_of(dataset):
        if list(leaf.CLASSES or ()) != list(classes):
            raise ValueError(
                f'data set {name!r} has the classes {leaf.CLASSES}, not the common ones {list(classes)}; joined data '
                'sets get them when they are built from a config (build_dataset)'
            )
        own = leaf.annotated_classes() if hasattr(leaf, 'annotated_classes') else None
        stated = stated and own is not None
        found.update(own or ())
    return [c for c in classes if c in found] if stated else None


def note_missing_classes(leaf: Dataset, name: str, classes: Sequence[str], policy: str) -> None:
    """Note which classes one data set does not know; by the policy its images say so."""
    own = leaf.annotated_classes()
    leaf.missing_classes = tuple(c for c in classes if c not in own)
    if not leaf.missing_classes or policy != MISSING_POLICIES[0]:
        return
    # behind the steps of the config, whose own word on this stays
    append_step(leaf, states_annotated(own))
