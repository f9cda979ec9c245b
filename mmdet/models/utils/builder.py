"""Registries of transformers and of linear layers; what mmcv's builders say of a config that is wrong."""

from typing import Any

import torch.nn as nn
from mmcv.cnn.bricks import activation, drop, transformer

from mmdet.utils.configs.config_error import building
from mmdet.utils.registry import Registry, build_from_cfg, look_up

TRANSFORMER = Registry('Transformer')
LINEAR_LAYERS = Registry('linear layers')
LINEAR_LAYERS.register_module('Linear', module=nn.Linear)

# mmcv's own function names neither the place in the config nor the nearest known name of an argument
for _module in (activation, drop, transformer):
    _module.build_from_cfg = build_from_cfg


def build_transformer(cfg: dict, default_args: dict | None = None) -> nn.Module:
    """Build a transformer from its config."""
    return build_from_cfg(cfg, TRANSFORMER, default_args)


def build_linear_layer(cfg: dict | None, *args: Any, **kwargs: Any) -> nn.Module:
    """Build a linear layer; None is ``nn.Linear``.

    Args:
        cfg: ``dict(type=NAME, ...)``; the remaining keys go to the layer.
        args, kwargs: further arguments of the layer, such as ``in_features, out_features``.

    Raises:
        TypeError: ``cfg`` is not a dict.
        KeyError: ``type`` is missing or unknown.
    """
    cfg = dict(type='Linear') if cfg is None else cfg
    if not isinstance(cfg, dict):
        raise TypeError(f'cfg: expected a dict or None, got {type(cfg).__name__}')
    if 'type' not in cfg:
        raise KeyError(f"the config of a linear layer needs 'type', got the keys {sorted(cfg)}")
    settings = dict(cfg)
    layer_type = settings.pop('type')
    with building(cfg):
        return look_up(layer_type, LINEAR_LAYERS)(*args, **kwargs, **settings)
