"""An ONNX file in the place of a detector."""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv import Config
from torch import Tensor

from mmdet.apis.export.graph import ExportError
from mmdet.apis.export.onnx_file import read_metadata
from mmdet.core.export.model_wrappers import ONNXRuntimeDetector, Outputs, scale_of
from mmdet.core.img_meta import ImgMeta
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads.mask_heads.paste import image_masks

# images as they are read; for files that do the rest
RAW_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        scale_factor=1.0,
        transforms=[
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img'], meta_keys=('filename', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    ),
]


class ONNXDetector(ONNXRuntimeDetector):
    """An exported detector with the interface of a detector, for ``inference_detector`` and ``single_gpu_test``.

    Args:
        path: file of ``tools/deployment/export.py``.
        cfg: the config whose test pipeline feeds it; a file with its preprocessing inside is fed images as they are
            read, see :func:`fed_config`.
        device_id: number of the GPU that is used where onnxruntime has CUDA.

    Attributes:
        cfg: see above.
        metadata: what the file says of itself; see :func:`mmdet.apis.export.export_detector`.

    Raises:
        ImportError: onnxruntime is not installed.
        ExportError: the file is none of an exported detector, or was exported without its suppression.
    """

    # boxes and masks are drawn in one way, whatever found them
    show_result = BaseDetector.show_result
    read_image = BaseDetector.read_image

    def __init__(self, path: str | os.PathLike[str], cfg: Config | None = None, device_id: int = 0) -> None:
        super().__init__(os.fspath(path), (), device_id)
        self.metadata = _own_metadata(path, self.properties)
        if self.metadata['raw']:
            raise ExportError(f'{path} was exported by --raw: it gives candidates, no detections')
        self.CLASSES = tuple(self.metadata['classes'])
        self.num_classes = len(self.CLASSES)
        self.cfg = cfg and fed_config(cfg, self.metadata)

    def feeds(self, img: Tensor, img_metas: Sequence[ImgMeta]) -> list[dict[str, np.ndarray]]:
        """As the parent's; a file with its preprocessing inside is given BGR images ``img`` (N, 3, H, W) one by one."""
        colour = self.metadata['preprocessing']
        if colour is None:
            return super().feeds(img, img_metas)
        images = (img.flip(1) if colour == 'rgb' else img).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        sizes = (meta['img_shape'][:2] for meta in img_metas)  # the rest is padding
        return [{'images': images[i : i + 1, :height, :width]} for i, (height, width) in enumerate(sizes)]

    def _masks(self, outputs: Outputs, meta: ImgMeta, rescale: bool) -> Sequence[np.ndarray]:
        """Masks (H, W) bool of one image's detections, from those of their boxes or of the padded input."""
        height, width = (meta['ori_shape'] if rescale else meta['img_shape'])[:2]
        masks = outputs['masks']
        if masks.dtype == torch.bool:
            inside = masks[:, : meta['img_shape'][0], : meta['img_shape'][1]].numpy().astype(np.uint8)
            return [mmcv.imresize(mask, (width, height)).astype(bool) for mask in inside]
        boxes = outputs['dets'][:, :4] / scale_of(meta, rescale)
        return image_masks(masks[:, None], boxes, height, width, self.metadata['mask_threshold'])

    def _result(self, outputs: Outputs, meta: ImgMeta, rescale: bool) -> Any:
        """As the parent's; proposals (n, 5) of an RPN, which has no classes."""
        if 'sizes' in outputs:
            meta = {**meta, 'img_shape': (*outputs.pop('sizes').tolist(), 3)}  # of the file's own resizing
        result = super()._result(outputs, meta, rescale)
        return result[0] if self.metadata['detector'] == 'RPN' else result


def _own_metadata(path: str | os.PathLike[str], properties: Mapping[str, str]) -> dict[str, Any]:
    if 'classes' not in properties:
        raise ExportError(f'{path} does not name its classes: it was not written by tools/deployment/export.py')
    return {'preprocessing': None, **read_metadata(properties)}  # files of older versions do not name it


def fed_config(cfg: Config, metadata: Mapping[str, Any]) -> Config:
    """A config whose test pipeline makes what a file takes.

    Args:
        cfg: the detector's; not changed.
        metadata: of the file; see :func:`mmdet.apis.export.export_detector`.
    """
    if metadata['preprocessing'] is None:
        return cfg
    cfg = copy.deepcopy(cfg)
    for name in ('test', 'val'):
        if name in cfg.get('data', {}):
            cfg.data[name].pipeline = copy.deepcopy(RAW_PIPELINE)
    return cfg


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a path names an ONNX file."""
    return os.fspath(path).endswith('.onnx')


__all__ = ['ONNXDetector', 'fed_config', 'is_onnx']
