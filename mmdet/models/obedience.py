"""Which parts of a model heed which directives: for the log, and to find directives that nobody reads."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import nn

from mmdet.core.bbox.samplers.base_sampler import BaseSampler
from mmdet.core.bbox.samplers.custom_sampler import BasicSamplerWithIgnore
from mmdet.core.directives import (
    CLASS_KEYS,
    HEADS_WITH_NEGATIVES,
    IGNORE_NEGATIVES,
    NEGATIVES,
    ObeyingHead,
    loss_weight_key,
    negative_weight_key,
    negatives_key,
)
from mmdet.models.builder import HEADS
from mmdet.models.weighted_heads import MIXINS, why_not_weighted

OWN_KEYS = 'heeded_directives'  # where a head of the user's own lists the keys that it reads itself
SAMPLER_ATTRIBUTES = ('sampler', 'bbox_sampler')


class Reader(NamedTuple):
    """A head or sampler that could heed directives."""

    name: str  # where it is in the model
    kind: str  # its class
    keys: tuple[str, ...]  # that it heeds; none: it does not heed any
    says: str = 'none'  # the same in words


def directive_readers(model: nn.Module) -> list[Reader]:
    """All heads and samplers of a model that heed directives or could, had they the class for it."""
    readers = []
    for name, module in model.named_modules():
        kind = type(module).__name__
        if isinstance(module, MIXINS):
            readers.append(Reader(name, kind, *_heeded(module)))
        elif getattr(module, OWN_KEYS, ()):
            keys = tuple(getattr(module, OWN_KEYS))
            readers.append(Reader(name, kind, keys, ', '.join(keys)))
        elif kind in HEADS.module_dict and why_not_weighted(type(module)) is None:
            readers.append(Reader(name, kind, ()))
        for attribute, sampler in _samplers(module):
            heeds = ((IGNORE_NEGATIVES, NEGATIVES), IGNORE_NEGATIVES)
            heeded = heeds if isinstance(sampler, BasicSamplerWithIgnore) else ((),)
            readers.append(Reader(f'{name}.{attribute}'.lstrip('.'), type(sampler).__name__, *heeded))
    return readers


def _heeded(head: Any) -> tuple[tuple[str, ...], str]:
    """The keys that a head heeds, and what that is in words."""
    heads = head.obeyed_heads
    says = ', else '.join(map(loss_weight_key, heads))
    keys = list(map(loss_weight_key, heads))
    if hasattr(head, 'reads_classes'):  # it has negatives
        own = [name for name in heads if name in HEADS_WITH_NEGATIVES]
        keys += [NEGATIVES, *map(negatives_key, own), *map(negative_weight_key, own)]
        says += f' ({NEGATIVES} alike)'
        if getattr(head, 'has_no_sampler', False):
            keys.append(IGNORE_NEGATIVES)
            says += f', {IGNORE_NEGATIVES}'
        if head.reads_classes:
            keys += CLASS_KEYS
            says += f', {" or ".join(CLASS_KEYS)}'
    return tuple(keys), says


def obeying_heads(model: nn.Module) -> dict[str, ObeyingHead]:
    """What the heads of a model obey that heed the weights of images, by the name that each obeys first.

    Heads of one name, such as those of a cascade, are one; it ignores negatives where one of them does.
    """
    found: dict[str, ObeyingHead] = {}
    modules = dict(model.named_modules())
    for path, module in modules.items():
        if isinstance(module, MIXINS):
            names = tuple(module.obeyed_heads)
            before = found.get(names[0], ObeyingHead(names))
            found[names[0]] = ObeyingHead(
                names,
                before.has_negatives or hasattr(module, 'reads_classes'),
                before.knows_classes or getattr(module, 'reads_classes', False),
                before.ignores
                or getattr(module, 'has_no_sampler', False)  # so it heeds them itself
                or any(isinstance(s, BasicSamplerWithIgnore) for s in _samplers_for(path, modules)),
            )
    return found


def _samplers_for(path: str, modules: Mapping[str, nn.Module]) -> list[BaseSampler]:
    """The samplers of a head, which it has itself or the nearest module that it is part of."""
    while path:
        samplers = [sampler for _, sampler in _samplers(modules[path])]
        if samplers:
            return samplers
        path = path.rpartition('.')[0]
    return []


def _samplers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for attribute in SAMPLER_ATTRIBUTES:
        found = getattr(module, attribute, None)
        for sampler in found if isinstance(found, (list, tuple)) else [found]:
            if isinstance(sampler, BaseSampler):
                yield attribute, sampler


def describe_readers(readers: list[Reader]) -> str:
    """A line for the log: who heeds what, and who does not."""
    names: dict[str, list[str]] = {}
    for reader in readers:
        names.setdefault(reader.says, []).append(reader.name if reader.keys else f'{reader.name} ({reader.kind})')
    lines = [f'{", ".join(dict.fromkeys(heeding))}: {says}' for says, heeding in names.items()]
    return 'directives heeded by ' + ('; '.join(sorted(lines)) or 'nobody')
