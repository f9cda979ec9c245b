"""A detector from a config and a checkpoint, and detections on single images."""

import asyncio
import copy
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv import Config
from mmcv.parallel import collate
from torch import nn

from mmdet.apis.checking.unknown_keys import check_model_settings
from mmdet.apis.error_texts import UserError
from mmdet.apis.export.detector import ONNXDetector, is_onnx
from mmdet.apis.image_input import Image, ImagePipeline, as_bgr, images_below
from mmdet.core.evaluation.class_names import get_classes
from mmdet.core.visualization.reading import pipeline_of
from mmdet.datasets.builder import DATASETS
from mmdet.models.builder import build_detector
from mmdet.utils.checkpoints.checkpoint import check_classes, load_checkpoint
from mmdet.utils.configs.custom_imports import import_custom_modules
from mmdet.utils.configs.read_config import read_config
from mmdet.utils.logger import get_root_logger
from mmdet.utils.running.amp import amp_dtype, enable_autocast
from mmdet.utils.running.parallel import module_device, unpack

ALLOW_PARTIAL = 'Give the checkpoint of this config; allow_partial=True takes it all the same.'


def init_detector(
    config: str | os.PathLike[str] | Config,
    checkpoint: str | None = None,
    device: str = 'cuda:0',
    cfg_options: dict[str, Any] | None = None,
    allow_partial: bool = False,
) -> nn.Module:
    """Build a detector for inference.

    Args:
        config: file or config; not changed.
        checkpoint: weights; None leaves them at their initial values; an ``.onnx`` file takes the model's place.
        device: a machine without GPU takes the CPU in the place of any ``'cuda...'``.
        cfg_options: changes to the config, e.g. ``{'model.test_cfg.rcnn.score_thr': 0.3}``.
        allow_partial: accept a checkpoint that lacks weights of the model, or has other classes than the config names.

    Returns:
        The model in evaluation mode, with ``cfg`` and ``CLASSES``.

    Raises:
        TypeError: ``config`` is neither a path nor a config.
        ImportError: a module of its ``custom_imports`` is not there.
        ConfigKeyError: nothing reads a key of ``model.test_cfg``.
        CheckpointMismatchError: see ``allow_partial``.
    """
    if isinstance(config, (str, Path)):
        config = read_config(config)
    elif isinstance(config, Config):
        config = copy.deepcopy(config)
    else:
        raise TypeError(f'config: expected a path or an mmcv.Config, got {type(config).__name__}')
    if cfg_options:
        config.merge_from_dict(cfg_options)
    import_custom_modules(config)
    if checkpoint is not None and is_onnx(checkpoint):
        return ONNXDetector(checkpoint, config).eval()
    leave_out_pretrained(config.model)
    config.model.train_cfg = None
    check_model_settings(config.model)
    model = build_detector(config.model, test_cfg=config.get('test_cfg'))
    meta = {}
    if checkpoint is not None:
        trusted, advice = config.get('trust_checkpoint', False), None if allow_partial else ALLOW_PARTIAL
        content = load_checkpoint(model, checkpoint, 'cpu', trusted=trusted, complete=advice)
        meta = content.get('meta', {})
        if advice:
            check_classes(meta.get('CLASSES'), _named_classes(config), checkpoint, advice)
    model.CLASSES = meta.get('CLASSES') or _classes_of(config)
    model.cfg = config
    model.to(_usable_device(device))
    if config.get('fp16'):
        enable_autocast(model, amp_dtype(config.fp16.get('dtype', 'float16'), module_device(model)))
    return model.eval()


class LoadImage:
    """A pipeline step of old code that loads ``results['img']``, a path or an array; see ``LoadImageFromWebcam``.

    Args:
        color_type: how a file is read, as in ``LoadImageFromFile``.
    """

    def __init__(self, color_type: str = 'color') -> None:
        self.color_type = color_type

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image, its names and its shape."""
        warnings.warn('LoadImage is an old name; use LoadImageFromWebcam for arrays', DeprecationWarning, stacklevel=2)
        name = results['img'] if isinstance(results['img'], str) else None
        image = mmcv.imread(results['img'], flag=self.color_type)
        shape = image.shape
        return dict(
            results, filename=name, ori_filename=name, img=image, img_fields=['img'], img_shape=shape, ori_shape=shape
        )


def inference_detector(model: nn.Module, imgs: Image | Sequence[Image]) -> Any:
    """Detect objects.

    Args:
        model: from :func:`init_detector`; not changed.
        imgs: a path, an array (H, W, 3) in BGR (or grey, BGRA, of 16 bits; see :func:`~mmdet.apis.image_input.as_bgr`),
            or a list of these, which goes through the model as one batch. The images of a folder and its sub-folders,
            in the order of their names, go through it one by one.

    Returns:
        The result of one image, or a list of results for a list or a folder.

    Raises:
        FileNotFoundError, ImageSourceError, BrokenImageError: one of them is no image.
    """
    pipeline = ImagePipeline(pipeline_of(model.cfg))
    if isinstance(imgs, (str, os.PathLike)) and '://' not in os.fspath(imgs) and Path(imgs).is_dir():
        return [detect(model, [pipeline.sample(image)])[0] for image in images_below(imgs)]
    if isinstance(imgs, (list, tuple)):
        return detect(model, [pipeline.sample(image) for image in imgs])
    image: Any = imgs
    return detect(model, [pipeline.sample(image)])[0]


@torch.no_grad()
def detect(model: nn.Module, samples: Sequence[dict[str, Any]]) -> list[Any]:
    """Results of one batch of samples, in pixels of the images that they were made of."""
    if not samples:
        return []
    batch = unpack(collate(list(samples), samples_per_gpu=len(samples)), module_device(model))
    return model(return_loss=False, rescale=True, **batch)


async def async_inference_detector(model: nn.Module, imgs: Image | Sequence[Image]) -> Any:
    """:func:`inference_detector` in a thread of its own, so that the event loop goes on meanwhile."""
    return await asyncio.to_thread(inference_detector, model, imgs)


def show_result_pyplot(
    model: nn.Module,
    img: Image,
    result: Any,
    score_thr: float = 0.3,
    title: str = 'result',
    wait_time: float = 0,
    palette: Any = None,
    out_file: str | None = None,
) -> None:
    """Draw detections on an image.

    Args:
        model: the detector.
        img: path, which is read as the config says, or BGR array.
        result: what :func:`inference_detector` gave for it.
        score_thr: detections below are left out.
        title: of the window.
        wait_time: seconds that the window stays; 0 waits for a key.
        palette: colours of the classes: a name such as ``'coco'``, or what the model's ``show_result`` takes.
        out_file: write the picture there, without opening a window.
    """
    inner: Any = getattr(model, 'module', model)
    inner.show_result(
        as_bgr(img) if isinstance(img, np.ndarray) else img,
        result,
        score_thr=score_thr,
        show=out_file is None,
        wait_time=wait_time,
        win_name=title,
        bbox_color=palette,
        text_color=(200, 200, 200),
        mask_color=palette,
        out_file=out_file,
    )


def leave_out_pretrained(model_cfg: dict[str, Any]) -> None:
    """Weights come from the checkpoint: a pretrained backbone would be fetched in vain."""
    if 'pretrained' in model_cfg:
        model_cfg['pretrained'] = None
    if 'init_cfg' in model_cfg.get('backbone', {}):
        model_cfg['backbone']['init_cfg'] = None


def _named_classes(config: Config) -> Sequence[str] | None:
    """Class names that the config's test data spells out."""
    test = config.get('data', {}).get('test', {})
    test = test[0] if isinstance(test, (list, tuple)) else test
    dataset: Any = DATASETS.get(test.get('type', '')) if test else None
    named = test.get('classes') is not None and dataset is not None
    return dataset.get_classes(test['classes']) if named else None


def _classes_of(config: Config) -> Sequence[str]:
    """Class names that the config's test data gives, else COCO's."""
    test = config.get('data', {}).get('test', {})
    test = test[0] if isinstance(test, (list, tuple)) else test
    dataset: Any = DATASETS.get(test.get('type', '')) if test else None
    named = _named_classes(config)
    if named is not None:
        return named
    if getattr(dataset, 'CLASSES', None) is not None:
        return dataset.CLASSES
    get_root_logger().warning('neither checkpoint nor config name the classes; those of COCO are used')
    return get_classes('coco')


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise UserError(f'device {device!r}: expected cpu, cuda or cuda:NUMBER') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        get_root_logger().info(f'{device} is not there: the detector runs on the CPU')
        return torch.device('cpu')
    return device
