"""Which sampler a head takes, and whether it draws among the anchors at all."""

import warnings
from typing import Any

from torch import nn

from mmdet.core.bbox.builder import BBOX_SAMPLERS, build_sampler
from mmdet.core.bbox.samplers.custom_sampler import taking_all
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler

# Losses that weigh easy and hard anchors themselves, so that all anchors enter them.
LOSSES_OVER_ALL_ANCHORS = ('FocalLoss', 'GHMC', 'QualityFocalLoss')


def is_pseudo_sampler(name: str) -> bool:
    """Whether the registered sampler takes all anchors."""
    sampler = BBOX_SAMPLERS.get(name)
    return isinstance(sampler, type) and issubclass(sampler, PseudoSampler)


def sampler_or_all(head: nn.Module, cfg: dict | None) -> Any:
    """The sampler of a config, built for ``head``; without a config one that takes all."""
    return build_sampler(cfg or dict(type='PseudoSampler'), context=head)


def sampler_for_loss(head: nn.Module, cfg: dict | None, loss_type: str) -> tuple[Any, bool]:
    """As :func:`sampler_or_all`, and whether it draws.

    A loss over all anchors gets all of them, with a warning where another sampler is asked for.
    """
    takes_all = cfg is None or is_pseudo_sampler(cfg['type'])
    if cfg is not None and not takes_all and loss_type in LOSSES_OVER_ALL_ANCHORS:
        # a loss over all anchors can leave the negatives of an image out all the same
        pseudo = taking_all(cfg['type'])
        warnings.warn(
            f'{loss_type} takes all anchors: the sampler {cfg["type"]} is not used. Leave train_cfg.sampler '
            f'out, or say sampler=dict(type={pseudo!r})',
            UserWarning,
            stacklevel=4,
        )
        cfg, takes_all = dict(type=pseudo), True
    return sampler_or_all(head, cfg), not takes_all
