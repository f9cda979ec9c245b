"""Registries of assigners, samplers and box coders."""

from typing import Any

from mmdet.utils.registry import Registry, build_from_cfg

BBOX_ASSIGNERS = Registry('bbox_assigner')
BBOX_SAMPLERS = Registry('bbox_sampler')
BBOX_CODERS = Registry('bbox_coder')


def build_assigner(cfg: dict, **default_args: Any) -> Any:
    """Build a box assigner from its config."""
    return build_from_cfg(cfg, BBOX_ASSIGNERS, default_args)


def build_sampler(cfg: dict, **default_args: Any) -> Any:
    """Build a box sampler from its config; ``context`` is the head that it samples for."""
    return build_from_cfg(cfg, BBOX_SAMPLERS, default_args)


def build_bbox_coder(cfg: dict, **default_args: Any) -> Any:
    """Build a box coder from its config."""
    return build_from_cfg(cfg, BBOX_CODERS, default_args)
