"""One switch in a model's config that makes all its heads and samplers heed the per-image training directives."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.custom_sampler import SUFFIX as SAMPLER_SUFFIX
from mmdet.core.directives import IGNORE_NEGATIVES
from mmdet.utils.registry import Registry, did_you_mean

HEAD_SUFFIX = 'WithWeightPerImage'
WEIGHTS = 'weights'
SWITCHES = (WEIGHTS, IGNORE_NEGATIVES)

# what lies below these is no part of the losses that the directives are for, or follows from what is above
LEFT_ALONE = ('extra_bbox_head', 'pos_sampler', 'neg_sampler')
# slots of a detector whose head takes all anchors where its section of train_cfg names no sampler
DENSE_SLOTS = (('bbox_head', None), ('rpn_head', 'rpn'))


def switch_directives_on(model: Mapping[str, Any], switches: Mapping[str, bool], heads: Registry) -> Any:
    """A copy of a model's config in which heads and samplers have the classes that heed directives.

    Args:
        model: config of a detector.
        switches: ``weights`` (heads become ``...WithWeightPerImage``) and ``ignore_negatives`` (samplers become
            ``...WithIgnore``); one that is absent is on.
        heads: where the heads are registered. What cannot heed stays as it is.

    Raises:
        ValueError: a switch that there is not, or one that is neither True nor False.
    """
    for name, value in switches.items():
        if name not in SWITCHES or not isinstance(value, bool):
            near = did_you_mean(name, SWITCHES) if name not in SWITCHES else '.'
            raise ValueError(f'directives: got {name}={value!r}{near} Accepted: {", ".join(SWITCHES)}, True or False')
    model = copy.deepcopy(model)
    if switches.get(IGNORE_NEGATIVES, True):
        _name_default_samplers(model, heads)
        for cfg in _named_configs(model):
            _add_suffix(cfg, BBOX_SAMPLERS, SAMPLER_SUFFIX)
    if switches.get(WEIGHTS, True):
        for cfg in _named_configs(model):
            _add_suffix(cfg, heads, HEAD_SUFFIX)
    return model


def _named_configs(value: Any) -> Iterator[dict]:
    """All dicts with a ``type`` in a config, outermost first."""
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value
        for key, part in value.items():
            if key not in LEFT_ALONE:
                yield from _named_configs(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _named_configs(part)


def _add_suffix(cfg: dict, registry: Registry, suffix: str) -> None:
    """Change ``type`` to the derived class, where there can be one."""
    known = not cfg['type'].endswith(suffix) and cfg['type'] in registry
    if known and registry.unsupported_reason(cfg['type'], suffix) is None:
        cfg['type'] += suffix


def _name_default_samplers(model: dict, heads: Registry) -> None:
    """Write the sampler that ``AnchorHead`` takes by default into ``train_cfg``, so that it can be changed."""
    for slot, section in DENSE_SLOTS:
        settings = model.get('train_cfg')
        settings = settings.get(section) if settings and section else settings
        head = heads.get(model[slot]['type']) if model.get(slot) else None
        by_anchors = head is not None and hasattr(head, '_init_matching')
        if by_anchors and settings and settings.get('assigner') and not settings.get('sampler'):
            settings['sampler'] = dict(type='PseudoSampler')


__all__ = ['switch_directives_on', 'HEAD_SUFFIX']
