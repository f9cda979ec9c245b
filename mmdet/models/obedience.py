"""Which parts of a model heed which directives: for the log, and to find directives that nobody reads."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from mmdet.core.bbox.samplers.base_sampler import BaseSampler
from mmdet.core.bbox.samplers.custom_sampler import BasicSamplerWithIgnore
from mmdet.core.directives import IGNORE_NEGATIVES, loss_weight_key
from mmdet.models.builder import HEADS
from mmdet.models.weighted_heads import MIXINS, why_not_weighted

SAMPLER_ATTRIBUTES = ('sampler', 'bbox_sampler')


class Reader(NamedTuple):
    """A head or sampler that could heed directives."""

    name: str  # where it is in the model
    kind: str  # its class
    keys: tuple[str, ...]  # that it heeds, the first it finds counting; none: it does not heed any


def directive_readers(model: nn.Module) -> list[Reader]:
    """All heads and samplers of a model that heed directives or could, had they the class for it."""
    readers = []
    for name, module in model.named_modules():
        if isinstance(module, MIXINS):
            keys = tuple(map(loss_weight_key, module.obeyed_heads))
            readers.append(Reader(name, type(module).__name__, keys))
        elif type(module).__name__ in HEADS.module_dict and why_not_weighted(type(module)) is None:
            readers.append(Reader(name, type(module).__name__, ()))
        for attribute, sampler in _samplers(module):
            keys = (IGNORE_NEGATIVES,) if isinstance(sampler, BasicSamplerWithIgnore) else ()
            readers.append(Reader(f'{name}.{attribute}'.lstrip('.'), type(sampler).__name__, keys))
    return readers


def _samplers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for attribute in SAMPLER_ATTRIBUTES:
        found = getattr(module, attribute, None)
        for sampler in found if isinstance(found, (list, tuple)) else [found]:
            if isinstance(sampler, BaseSampler):
                yield attribute, sampler


def describe_readers(readers: list[Reader]) -> str:
    """A line for the log: who heeds what, and who does not."""
    names: dict[tuple[str, ...], list[str]] = {}
    for reader in readers:
        names.setdefault(reader.keys, []).append(reader.name if reader.keys else f'{reader.name} ({reader.kind})')
    lines = [
        f'{", ".join(dict.fromkeys(heeding))}: {", else ".join(keys) or "none"}' for keys, heeding in names.items()
    ]
    return 'directives heeded by ' + ('; '.join(sorted(lines)) or 'nobody')
