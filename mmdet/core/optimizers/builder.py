"""The registry of optimizer constructors, and what builds optimizers."""

import copy
from typing import Any

from mmcv.runner.optimizer import OPTIMIZER_BUILDERS as MMCV_OPTIMIZER_BUILDERS
from mmcv.runner.optimizer import OPTIMIZERS
from torch import nn
from torch.optim import Optimizer

from mmdet.utils.configs.config_error import ConfigKeyError, building, config_key
from mmdet.utils.registry import Registry, accepted_arguments, build_from_cfg, did_you_mean, resolve

OPTIMIZER_BUILDERS = Registry('optimizer builder', parent=MMCV_OPTIMIZER_BUILDERS)
DEFAULT_CONSTRUCTOR = 'DefaultOptimizerConstructor'


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
    check_optimizer(cfg)
    cfg = copy.deepcopy(cfg)
    constructor = dict(
        type=cfg.pop('constructor', DEFAULT_CONSTRUCTOR),
        paramwise_cfg=cfg.pop('paramwise_cfg', None),
        optimizer_cfg=cfg,
    )
    with config_key('optimizer'):
        return build_optimizer_constructor(constructor)(model)


def check_optimizer(cfg: dict[str, Any]) -> None:
    """Check ``type`` and arguments of an optimizer's config without building it.

    A constructor from elsewhere may read the config in its own way; then nothing is checked.

    Raises:
        ConfigKeyError, ConfigTypeError: type or argument unknown, or an argument missing.
    """
    constructor = cfg.get('constructor', DEFAULT_CONSTRUCTOR)
    cls = OPTIMIZER_BUILDERS.get(constructor) or MMCV_OPTIMIZER_BUILDERS.get(constructor)
    if cls is None or not cls.__module__.startswith(('mmcv.', 'mmdet.')):
        return
    with config_key('optimizer'), building(cfg):
        settings = {key: value for key, value in cfg.items() if key not in ('constructor', 'paramwise_cfg')}
        cls, _ = resolve(settings, OPTIMIZERS, dict(params=()))
        if 'lr' not in settings and 'lr' in (accepted_arguments(cls) or ()):
            raise ConfigKeyError(f"{cls.__name__} needs 'lr', the learning rate that lr_config starts from.")
