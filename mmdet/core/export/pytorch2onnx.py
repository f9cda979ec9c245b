"""What mmdetection 2.x offered to scripts that exported a model by themselves."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv.cnn import MODELS
from mmcv.utils import import_modules_from_strings
from torch import Tensor, nn

from mmdet.utils.checkpoints.checkpoint import load_checkpoint
from mmdet.utils.configs.custom_imports import import_custom_modules
from mmdet.utils.configs.read_config import read_config


def build_model_from_cfg(
    config_path: str, checkpoint_path: str | None, cfg_options: Mapping[str, Any] | None = None
) -> nn.Module:
    """The detector of a config with the weights of a checkpoint, on the CPU, in evaluation mode.

    Args:
        config_path: of the config.
        checkpoint_path: of the weights; None leaves them at their initial values.
        cfg_options: changes to the config.
    """
    cfg = read_config(config_path)
    cfg.merge_from_dict(dict(cfg_options or {}))
    import_custom_modules(cfg)
    model_cfg = {**cfg.model, 'train_cfg': None}
    model_cfg.pop('pretrained', None)
    if 'init_cfg' in model_cfg.get('backbone', {}):
        model_cfg['backbone'] = {**model_cfg['backbone'], 'init_cfg': None}
    model_cfg.setdefault('test_cfg', cfg.get('test_cfg'))
    import_modules_from_strings(['mmdet.models'])  # core does not know them: by name, as a config's custom_imports
    model = MODELS.build({**model_cfg, 'type': f'mmdet.{model_cfg["type"]}'})
    if checkpoint_path is not None:
        load_checkpoint(model, checkpoint_path, 'cpu', trusted=cfg.get('trust_checkpoint', False))
    return model.eval()


def preprocess_example_input(input_config: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """An image of a file as a batch of one, and its meta information.

    Args:
        input_config: ``input_path``, a picture; ``input_shape`` (1, 3, h, w), what it is resized to; ``normalize_cfg``
            with ``mean``, ``std`` and perhaps ``to_rgb`` (default True); without it the values are left as they are.

    Returns:
        (1, 3, h, w) float, and ``img_shape``, ``ori_shape``, ``pad_shape``, ``filename``, ``scale_factor``, ``flip``,
        ``show_img``.
    """
    height, width = input_config['input_shape'][2:]
    picture = mmcv.imresize(mmcv.imread(input_config['input_path']), (width, height))
    image = picture.astype(np.float32)
    if normalise := input_config.get('normalize_cfg'):
        mean, std = (np.array(normalise[name], dtype=np.float32) for name in ('mean', 'std'))
        image = mmcv.imnormalize(image, mean, std, normalise.get('to_rgb', True))
    shape = (height, width, 3)
    meta = dict(
        img_shape=shape,
        ori_shape=shape,
        pad_shape=shape,
        filename=input_config['input_path'],
        scale_factor=np.ones(4, dtype=np.float32),
        flip=False,
        flip_direction=None,
        show_img=picture,
    )
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].requires_grad_(), meta


def generate_inputs_and_wrap_model(
    config_path: str,
    checkpoint_path: str | None,
    input_config: Mapping[str, Any],
    cfg_options: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, list[Tensor]]:
    """A detector whose ``forward`` takes a list of images alone, and such a list.

    Args:
        config_path, checkpoint_path, cfg_options: see :func:`build_model_from_cfg`.
        input_config: see :func:`preprocess_example_input`.

    Returns:
        the detector, whose ``forward`` knows the meta information and gives results; a list with (1, 3, h, w).
    """
    model = build_model_from_cfg(config_path, checkpoint_path, cfg_options)
    image, meta = preprocess_example_input(input_config)
    forward: Callable[..., Any] = model.forward
    model.forward = partial(forward, img_metas=[[meta]], return_loss=False)  # type: ignore[method-assign]
    return model, [image]


__all__ = ['build_model_from_cfg', 'generate_inputs_and_wrap_model', 'preprocess_example_input']
