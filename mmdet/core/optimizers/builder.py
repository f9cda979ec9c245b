"""The registry of optimizer constructors, and what builds optimizers."""

import copy
from typing import Any

from mmcv.runner.optimizer import OPTIMIZER_BUILDERS as MMCV_OPTIMIZER_BUILDERS
from torch import nn
from torch.optim import Optimizer

from mmdet.utils.registry import Registry, build_from_cfg, did_you_mean

OPTIMIZER_BUILDERS = Registry('optimizer builder', parent=MMCV_OPTIMIZER_BUILDERS)


def build_optimizer_constructor(cfg: dict[str, Any]) -> Any:
    """Build a constructor of this package, or one of mmcv's, from ``dict(type=..., optimizer_cfg=...)``.

    Raises:
        KeyError: neither has it.
    """
    name = cfg.get('type')
    known = {**MMCV_OPTIMIZER_BUILDERS.module_dict, **OPTIMIZER_BUILDERS.module_dict}
    if name not in known:
        raise KeyError(f'no optimizer constructor {name!r} is registered{did_you_mean(str(name), known)}')
    return build_from_cfg(cfg, OPTIMIZER_BUILDERS if name in OPTIMIZER_BUILDERS else MMCV_OPTIMIZER_BUILDERS)


def build_optimizer(model: nn.Module, cfg: dict[str, Any]) -> Optimizer:
    """Build the optimizer of a model.

    Args:
        model: its parameters are optimised.
        cfg: ``type`` and arguments of an optimizer; ``constructor`` names what divides parameters into groups
            (default ``DefaultOptimizerConstructor``) by the rules in ``paramwise_cfg``. It is not changed.
    """
    cfg = copy.deepcopy(cfg)
    constructor = dict(
        type=cfg.pop('constructor', 'DefaultOptimizerConstructor'),
        paramwise_cfg=cfg.pop('paramwise_cfg', None),
        optimizer_cfg=cfg,
    )
    return build_optimizer_constructor(constructor)(model)
