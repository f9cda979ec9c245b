"""What each source of a mixture will contribute to a training, and what to be warned of, before the first step."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from terminaltables import AsciiTable
from torch.utils.data import Dataset

from mmdet.core.directives import (
    CLASS_KEYS,
    LABELED_CLASSES,
    TWO_STAGES,
    HeadDirectives,
    ignores_negatives,
    loss_weight,
)
from mmdet.datasets.audit.annotation_rules import format_list
from mmdet.datasets.audit.audit import flatten
from mmdet.datasets.audit.checks import check_same_classes
from mmdet.datasets.builder import build_dataloader
from mmdet.datasets.mixing.advice import NO_ENTRIES, SourceFacts, policy_in_head, policy_of_image, recommend
from mmdet.datasets.mixing.image_fields import directive_steps, fields_of_image
from mmdet.datasets.mixing.sources import find_sources
from mmdet.datasets.samplers.source_sampler import SourceBatchSampler
from mmdet.utils.running.progress import tracked

# From this fraction of an epoch's images with ignored negatives on there is a warning: a network that lacks
# negatives calls everything an object.
SMALL = 0.2
Heads = Mapping[str, HeadDirectives]  # name -> the directives that it reads


class SourceReport(NamedTuple):
    """One source; images count as often as they come in an epoch, weights are means over them."""

    name: str
    images: int  # in the data set
    per_epoch: int  # in an epoch, of all processes
    weights: dict[str, float]  # head -> mean weight
    weightless: dict[str, float]  # head -> fraction of the images with weight 0, in [0, 1]
    ignored: float  # fraction of the images whose negatives are ignored, in [0, 1]
    teaches_background: dict[str, bool]  # head with negatives -> whether an image has a weight and negatives
    unlabeled: list[str]  # classes that are not annotated, in some image at least
    policies: Mapping[str, float] = NO_ENTRIES  # policy of negatives -> fraction of the images that have it
    without_objects: Sequence[str] = ()  # classes that count as annotated, but no object is of them
    weighs_background: Mapping[str, bool] = NO_ENTRIES  # head with negatives -> some have weight


class MixtureReport(NamedTuple):
    """A mixture."""

    sources: list[SourceReport]
    epoch: str  # length of an epoch, in words
    warnings: list[str]

    @property
    def per_epoch(self) -> int:
        """Images of an epoch."""
        return sum(source.per_epoch for source in self.sources)

    @property
    def advice(self) -> list[str]:
        """What to change; see :func:`mmdet.datasets.mixing.advice.recommend`."""
        total = max(self.per_epoch, 1)
        return recommend(
            [SourceFacts(s.name, s.per_epoch / total, s.policies, s.without_objects) for s in self.sources]
        )

    def fraction_of_loss(self, head: str) -> list[float]:
        """Fraction of each source in a head's loss, if its images' losses were equal but for their weights."""
        parts = np.asarray([source.per_epoch * source.weights[head] for source in self.sources])
        return (parts / max(parts.sum(), 1e-12)).tolist()

    def table(self) -> str:
        """One row for each source."""
        heads = list(self.sources[0].weights) if self.sources else []
        columns = 'ratio', *(f'{head} loss' for head in heads), 'ignored', 'unlabelled'
        rows = [['source', 'images', 'an epoch', *columns]]
        fractions = [self.fraction_of_loss(head) for head in heads]
        for source, *of_loss in zip(self.sources, *fractions):
            fraction = source.per_epoch / max(self.per_epoch, 1)
            percents = [f'{value:.1%}' for value in (fraction, *of_loss, source.ignored)]
            rows.append([source.name, source.images, source.per_epoch, *percents, format_list(source.unlabeled) or '-'])
        return AsciiTable(rows).table


def report_mixture(
    dataset: Dataset,
    *,
    samples_per_gpu: int = 2,
    world_size: int = 1,
    source_ratio: Sequence[float] | None = None,
    repeat_factors: Sequence[float] | None = None,
    heads: Heads = TWO_STAGES,
) -> MixtureReport:
    """Look at a training set as its loader will give it.

    Args:
        dataset: a ``ConcatDataset``, or wrappers around one.
        samples_per_gpu: images in a batch.
        world_size: number of processes.
        source_ratio, repeat_factors: of the training loader.
        heads: of the model (``mmdet.models.utils.directive_report.enabled_heads``); columns and warnings are theirs.
    """
    sources = find_sources(dataset)
    if source_ratio is None and repeat_factors is None:
        counts = np.bincount(sources.owner, minlength=len(sources.names)).tolist()
        batches = -(-sum(counts) // (samples_per_gpu * world_size))
        epoch = f'an epoch has about {batches} batches of {samples_per_gpu} images in each of {world_size} process(es)'
    else:
        batching = dict(source_ratio=source_ratio, repeat_factors=repeat_factors, seed=0)
        loader = build_dataloader(dataset, samples_per_gpu * world_size, 0, dist=False, **batching)
        sampler: SourceBatchSampler = loader.batch_sampler
        counts = sampler.images_per_epoch()
        epoch = f'{sampler.rule()}: an epoch has {len(sampler)} steps of {world_size} x {samples_per_gpu} images'
    reports = [
        report_source(name, part, int(count), heads)
        for name, part, count in zip(sources.names, parts_of(dataset), counts)
    ]
    classes = dict(zip(sources.names, (part.CLASSES for part in parts_of(dataset))))
    return MixtureReport(reports, epoch, [*check_same_classes(classes), *warnings_of(reports, heads)])


def parts_of(dataset: Dataset) -> list[Dataset]:
    """The sources of a data set; see ``find_sources``."""
    while hasattr(dataset, 'dataset') and not hasattr(dataset, 'datasets'):
        dataset = dataset.dataset
    return list(getattr(dataset, 'datasets', [dataset]))


def report_source(name: str, part: Dataset, per_epoch: int, heads: Heads) -> SourceReport:
    """The figures of one source."""
    leaves, repeats = flatten(part)
    fields: list[dict[str, Any]] = []
    counts: list[float] = []
    unlabeled: dict[str, None] = {}
    seen: set[str] = set()
    for leaf, count in zip(leaves, repeats):
        own = fields_of_images(leaf)
        fields += own
        counts += [count / max(len(own), 1)] * len(own)
        for field in {str([f.get(key) for key in CLASS_KEYS]): f for f in own}.values():
            if len(unlabeled) == len(leaf.CLASSES or ()):
                break  # of federated sets each image has a list of its own
            unlabeled.update(dict.fromkeys(unlabeled_names(field, leaf.CLASSES or ())))
        seen |= classes_with_objects(leaf)
    often = np.asarray(counts) / max(sum(counts), 1e-12)
    weights = {name: np.asarray([loss_weight(f, head.names) for f in fields]) for name, head in heads.items()}
    counting = {name: have_negatives(fields, head) for name, head in heads.items() if head.has_negatives}
    kinds = [policy_of_image(f, heads) for f in fields]
    ignored = np.asarray([ignores_negatives(f) for f in fields], dtype=bool)
    return SourceReport(
        name=name,
        images=len(fields),
        per_epoch=per_epoch,
        weights={head: float((often * own).sum()) for head, own in weights.items()},
        weightless={head: fraction_of(often, own == 0) for head, own in weights.items()},
        ignored=fraction_of(often, ignored),
        teaches_background={head: bool(((weights[head] > 0) & ~ignored).any()) for head in counting},
        unlabeled=list(unlabeled),
        weighs_background={head: bool((weights[head] * own > 0).any()) for head, own in counting.items()},
        policies={kind: fraction_of(often, np.asarray(kinds) == kind) for kind in dict.fromkeys(kinds)},
        without_objects=[name for name in leaves[0].CLASSES or () if name not in seen | set(unlabeled)],
    )


def fraction_of(often: np.ndarray, mask: np.ndarray) -> float:
    """Fraction of the images (n,) in a mask, weighed by ``often`` (n,); exactly 1 where all are."""
    return 1.0 if mask.all() and mask.size else float(often[mask].sum())


def classes_with_objects(leaf: Dataset) -> set[str]:
    """The classes that a data set has objects of; all of them where its annotations cannot be asked for."""
    names = leaf.CLASSES or ()
    if not hasattr(leaf, 'get_ann_info'):
        return set(names)
    seen: set[str] = set()
    for index in tracked(range(len(leaf)), 'looking for objects of each class'):
        seen.update(names[label] for label in leaf.get_ann_info(index)['labels'])
        if len(seen) == len(names):  # mostly long before the last image
            break
    return seen


def have_negatives(fields: Sequence[Mapping[str, Any]], head: HeadDirectives) -> np.ndarray:
    """(n,) bool: the images whose negatives weigh anything in a head; by policy, or as a class is annotated."""
    nothing = [
        policy_in_head(f, head.names) == 'none' or (head.class_wise and f.get(LABELED_CLASSES) == []) for f in fields
    ]
    return ~np.asarray(nothing, dtype=bool)


def fields_of_images(leaf: Dataset) -> list[dict[str, Any]]:
    """For each image the fields that the pipeline of a data set adds, without running it."""
    infos = getattr(leaf, 'data_infos', None) or [None] * len(leaf)
    steps = directive_steps(leaf)
    return [fields_of_image(steps, info) for info in infos]


def unlabeled_names(fields: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """The classes that are not annotated in an image with these fields, which name the others or give their labels."""
    key = next((key for key in CLASS_KEYS if key in fields), None)
    if key is None:
        return []
    named = {classes[c] if isinstance(c, int) else c for c in fields[key]}
    return [name for name in classes if (name in named) != (key == LABELED_CLASSES)]


def warnings_of(sources: Sequence[SourceReport], heads: Heads) -> list[str]:
    """What is risky about a mixture, one text each."""
    used = [source for source in sources if source.per_epoch]
    warnings = [f'{source.name}: no image of it is used' for source in sources if not source.per_epoch]
    for head, reader in heads.items():
        if used and all(source.weightless[head] == 1 for source in used):
            warnings.append(f'{head}: all images have weight 0, so it learns nothing')
            continue
        warnings += [
            f'{source.name}: {source.weightless[head]:.0%} of its images have weight 0 in {head}; they fill their '
            'place in the batches all the same. To leave a source out, leave it out of the config'
            for source in used
            if source.weightless[head] > 0
        ]
        if not reader.has_negatives:
            continue
        unsampled = reader.ignores and not any(source.teaches_background[head] for source in used)
        if used and (unsampled or not any(source.weighs_background.get(head, True) for source in used)):
            warnings.append(f'{head}: no image has negatives that count; it would call everything an object')
    total = sum(source.per_epoch for source in used)
    ignored = sum(source.per_epoch * source.ignored for source in used) / max(total, 1)
    if ignored and not any(head.ignores for head in heads.values()):
        warnings.append('ignored negatives: no sampler of the model reads this; take samplers ...WithIgnore')
    elif ignored > SMALL:
        warnings.append(
            f'ignored negatives: {ignored:.0%} of the images of an epoch, not a small part of the whole (more than '
            f'{SMALL:.0%}); the others may not suffice to teach what background is. Lower its fraction by source_ratio'
        )
    return warnings
