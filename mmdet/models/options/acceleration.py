"""Ways to run any detector faster, as keys of ``model`` in a config; none changes a weight or a checkpoint key.

=================== ===================================================================================================
``input_norm``      ``dict(mean=..., std=..., to_rgb=True)``: images come as uint8, a quarter of the bytes, and are
                    normalised where the model is; the pipeline leaves ``Normalize`` out and says
                    ``DefaultFormatBundle(img_to_float=False)``
``channels_last``   True: convolutions work on maps in the order (N, H, W, C)
``fold_norm``       True: batch norms whose statistics stand still are computed as part of the convolutions before them,
                    see :mod:`mmdet.models.options.fold_norm`
``fixed_size``      True: training draws samples of static shapes, so that the host hardly waits for a GPU; see
                    :mod:`mmdet.models.options.static_shapes`
``compile``         ``dict(parts=('backbone', 'neck'), ...)``: ``torch.compile`` of these parts (dotted names); other
                    keys are its arguments, such as ``mode`` or ``dynamic``
=================== ===================================================================================================
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks.conv_ws import ConvAWS2d, ConvWS2d
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.options.fold_norm import fold_norms
from mmdet.utils.configs.config_error import config_key
from mmdet.utils.registry import did_you_mean

OPTIONS = ('input_norm', 'channels_last', 'fold_norm', 'fixed_size', 'compile')
COMPILED_PARTS = ('backbone', 'neck')


def split_options(cfg: Mapping) -> tuple[dict, dict]:
    """The config of a model without the keys of this module, and these."""
    options = {key: cfg[key] for key in OPTIONS if cfg.get(key) is not None}
    return {key: value for key, value in cfg.items() if key not in OPTIONS}, options


def accelerate(
    detector: nn.Module,
    input_norm: Mapping | None = None,
    channels_last: bool = False,
    fold_norm: bool = False,
    fixed_size: bool = False,
    compile: Mapping | None = None,
) -> nn.Module:
    """Change how a detector runs, in place; see the module.

    Returns:
        ``detector`` itself.

    Raises:
        ValueError: a part to compile is not there, or a head knows no fixed sizes.
    """
    if input_norm is not None:
        with config_key('input_norm'):
            detector.register_forward_pre_hook(_PrepareImages(InputNorm(**input_norm)), with_kwargs=True)
    if channels_last:
        to_channels_last(detector)
        detector.register_forward_pre_hook(_PrepareImages(_as_channels_last), with_kwargs=True)
    if fold_norm:
        fold_norms(detector)
    if fixed_size:
        detector.use_static_shapes()
    if compile is not None:
        settings = dict(compile)
        for name in settings.pop('parts', COMPILED_PARTS):
            compile_part(detector, name, settings)
    return detector


def to_channels_last(module: nn.Module) -> nn.Module:
    """Give the weights of convolutions the order (N, H, W, C), in place.

    mmcv's weight-standardised convolutions keep (N, C, H, W): they flatten their weights, which only that order allows.
    """
    module.to(memory_format=torch.channels_last)
    for part in module.modules():
        if isinstance(part, (ConvWS2d, ConvAWS2d)):
            part.to(memory_format=torch.contiguous_format)
    return module


def compile_part(detector: nn.Module, name: str, settings: dict) -> None:
    """Compile one part in place, by its dotted name.

    Raises:
        ValueError: there is no such part.
    """
    parts = dict(detector.named_modules())
    if name not in parts:
        known = [part for part in parts if part and part.count('.') < 2]
        raise ValueError(f'compile: the model has no part {name!r}{did_you_mean(name, known)} It has: {known}')
    part = parts[name]
    part.forward = torch.compile(part.forward, **settings)


class InputNorm:
    """Normalise images of uint8; float images are taken as normalised already.

    Args:
        mean: one number a channel, in the order after the change to RGB.
        std: likewise.
        to_rgb: turn BGR to RGB first.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> None:
        self.mean = torch.tensor(mean, dtype=torch.float32)
        self.std = torch.tensor(std, dtype=torch.float32)
        self.to_rgb = to_rgb

    def __call__(self, images: Tensor, img_metas: Sequence[ImgMeta]) -> Tensor:
        """(N, C, H, W) uint8 -> float32; padding becomes 0, as where it is added after normalising."""
        if images.dtype != torch.uint8:
            return images
        mean, std = (values.to(images.device, non_blocking=True).view(-1, 1, 1) for values in (self.mean, self.std))
        normalised = (images.flip(1) if self.to_rgb else images).sub(mean).div_(std)
        for image, meta in zip(normalised, img_metas):
            height, width = meta['img_shape'][:2]
            image[:, height:] = 0
            image[:, :, width:] = 0
        return normalised


def _as_channels_last(images: Tensor, img_metas: Sequence[ImgMeta]) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


class _PrepareImages:
    """Hook before a detector's ``forward`` that changes its images: a batch, or a list of views of it."""

    def __init__(self, prepare: Any) -> None:
        self.prepare = prepare

    def __call__(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if args and isinstance(args[0], dict):
            # DistributedDataParallel runs `train_step(data, optimizer)` in the place of `forward`; that calls `forward`
            return None
        names = ('img', 'img_metas')
        given = dict(zip(names, args)) | kwargs
        img, metas = given['img'], given['img_metas']
        if isinstance(img, (list, tuple)):
            given['img'] = [self.prepare(view, view_metas) for view, view_metas in zip(img, metas)]
        else:
            given['img'] = self.prepare(img, metas)
        return args[len(names) :], given
