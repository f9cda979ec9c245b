"""Registry of matching costs."""

from typing import Any

from mmdet.utils.registry import Registry, build_from_cfg

MATCH_COST = Registry('Match Cost')


def build_match_cost(cfg: dict, default_args: dict | None = None) -> Any:
    """Build a matching cost from its config."""
    return build_from_cfg(cfg, MATCH_COST, default_args)
