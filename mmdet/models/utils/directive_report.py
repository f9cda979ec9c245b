"""Which parts of a model read which directives: for the log, and to find directives that nobody reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from mmdet.core.bbox.samplers.base_sampler import BaseSampler
from mmdet.core.bbox.samplers.custom_sampler import BasicSamplerWithIgnore
from mmdet.core.directives import (
    CLASS_KEYS,
    HEADS_WITH_NEGATIVES,
    IGNORE_NEGATIVES,
    NEGATIVES,
    HeadDirectives,
    effective_keys,
    loss_weight_key,
    negative_weight_key,
    negatives_key,
)
from mmdet.models.builder import HEADS
from mmdet.models.directives import directives_of, unsupported_reason

OWN_KEYS = 'directive_keys'  # where a head of the user's own lists the keys that it reads itself
SAMPLER_ATTRIBUTES = ('sampler', 'bbox_sampler')


class Reader(NamedTuple):
    """A head or sampler that could read directives."""

    name: str  # where it is in the model
    kind: str  # its class
    keys: tuple[str, ...]  # that it reads; none: it does not read any
    says: str = 'none'  # the same in words


def directive_readers(model: nn.Module) -> list[Reader]:
    """All heads and samplers of a model that read directives or could, had they the class for it."""
    readers = []
    for name, module in model.named_modules():
        kind = type(module).__name__
        if _is_enabled(module):
            readers.append(Reader(name, kind, *_read_keys(directives_of(module))))
        elif getattr(module, OWN_KEYS, ()):
            keys = tuple(getattr(module, OWN_KEYS))
            readers.append(Reader(name, kind, keys, ', '.join(keys)))
        elif kind in HEADS.module_dict and unsupported_reason(type(module)) is None:
            readers.append(Reader(name, kind, ()))
        for attribute, sampler in _samplers(module):
            read = ((IGNORE_NEGATIVES, NEGATIVES), IGNORE_NEGATIVES)
            keys = read if isinstance(sampler, BasicSamplerWithIgnore) else ((),)
            readers.append(Reader(f'{name}.{attribute}'.lstrip('.'), type(sampler).__name__, *keys))
    return readers


def _is_enabled(module: nn.Module) -> bool:
    return getattr(module, 'directive_head', None) is not None and directives_of(module).enabled


def _read_keys(head: HeadDirectives) -> tuple[tuple[str, ...], str]:
    """The keys that a head reads, and what that is in words."""
    says = ', else '.join(map(loss_weight_key, head.names))
    keys = list(map(loss_weight_key, head.names))
    if head.has_negatives:
        own = [name for name in head.names if name in HEADS_WITH_NEGATIVES]
        keys += [NEGATIVES, *map(negatives_key, own), *map(negative_weight_key, own)]
        says += f' ({NEGATIVES} alike)'
        if not head.has_sampler:
            keys.append(IGNORE_NEGATIVES)
            says += f', {IGNORE_NEGATIVES}'
        if head.class_wise:
            keys += CLASS_KEYS
            says += f', {" or ".join(CLASS_KEYS)}'
    return tuple(keys), says


def enabled_heads(model: nn.Module) -> dict[str, HeadDirectives]:
    """What the heads of a model read whose losses directives change, by the name that each reads first.

    Heads of one name, such as those of a cascade, are one; it ignores negatives where one of them does.
    """
    found: dict[str, HeadDirectives] = {}
    modules = dict(model.named_modules())
    for path, module in modules.items():
        if not _is_enabled(module):
            continue
        head = directives_of(module)
        before = found.get(head.names[0])
        merged = HeadDirectives(head.names, enabled=True, has_sampler=head.has_sampler)
        merged.ignores = (
            (before is not None and before.ignores)
            or not head.has_sampler  # so it reads them itself
            or any(isinstance(s, BasicSamplerWithIgnore) for s in _samplers_for(path, modules))
        )
        found[head.names[0]] = merged
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
    """A line for the log: who reads what, and who does not."""
    names: dict[str, list[str]] = {}
    for reader in readers:
        names.setdefault(reader.says, []).append(reader.name if reader.keys else f'{reader.name} ({reader.kind})')
    lines = [f'{", ".join(dict.fromkeys(reading))}: {says}' for says, reading in names.items()]
    return 'directives read by ' + ('; '.join(sorted(lines)) or 'nobody')


def check_directives_were_read(model: nn.Module, img_metas: Sequence[Mapping[str, Any]]) -> bool:
    """Check after a training step that no head passed over directives that its images had.

    Args:
        model: after the losses of ``img_metas`` were computed.
        img_metas: of the N images of the step.

    Returns:
        whether an image had a directive for an enabled head, so that there was something to check.

    Raises:
        RuntimeError: a head that is to read directives never asked for them; it is named, with the line to add.
    """
    had_any = False
    for path, module in model.named_modules():
        if not _is_enabled(module) or not hasattr(module, 'loss') or path.rpartition('.')[2] == 'extra_bbox_head':
            continue
        head = directives_of(module)
        keys = set(_read_keys(head)[0]) & {key for meta in img_metas for key in effective_keys(meta)}
        had_any |= bool(keys)
        missing = []
        if keys and not head.weighed:
            missing.append('targets = weigh_targets(self, targets, image_of_row, img_metas), once it has its targets')
        if keys and not head.masked and any(map(head.needs_scores, img_metas)):
            missing.append(
                'cls_score, label_weights = mask_scores(self, cls_score, labels, label_weights, image_of_row, '
                'img_metas), before its classification loss'
            )
        if missing:
            raise RuntimeError(
                f'{path} ({type(module).__name__}) never read {", ".join(sorted(keys))}, which images of this batch '
                f'have. A head that makes targets or losses in a way of its own calls, of mmdet.models.directives: '
                f'{"; and ".join(missing)} (docs/head_weights.md)'
            )
    return had_any
