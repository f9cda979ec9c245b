"""Registry of prior generators (anchors and points)."""

import warnings
from typing import Any

from mmdet.utils.registry import Registry, build_from_cfg

PRIOR_GENERATORS = Registry('Generator for anchors and points')
ANCHOR_GENERATORS = PRIOR_GENERATORS


def build_prior_generator(cfg: dict, default_args: dict | None = None) -> Any:
    """Build a prior generator from its config."""
    return build_from_cfg(cfg, PRIOR_GENERATORS, default_args)


def build_anchor_generator(cfg: dict, default_args: dict | None = None) -> Any:
    """The former name of :func:`build_prior_generator`."""
    warnings.warn('build_anchor_generator is deprecated; use build_prior_generator', DeprecationWarning, stacklevel=2)
    return build_prior_generator(cfg, default_args)
