"""An ONNX file in the place of a detector."""

import os
from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv import Config

from mmdet.apis.export.graph import ExportError
from mmdet.apis.export.onnx_file import read_metadata
from mmdet.core.export.model_wrappers import ONNXRuntimeDetector, Outputs, scale_of
from mmdet.core.img_meta import ImgMeta
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads.mask_heads.paste import image_masks


class ONNXDetector(ONNXRuntimeDetector):
    """An exported detector with the interface of a detector, for ``inference_detector`` and ``single_gpu_test``.

    Args:
        path: file of ``tools/deployment/export.py``.
        cfg: the config whose test pipeline feeds it.
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
        if 'classes' not in self.properties:
            raise ExportError(f'{path} does not name its classes: it was not written by tools/deployment/export.py')
        self.metadata = read_metadata(self.properties)
        if self.metadata['raw']:
            raise ExportError(f'{path} was exported by --raw: it gives candidates, no detections')
        self.CLASSES = tuple(self.metadata['classes'])
        self.num_classes = len(self.CLASSES)
        self.cfg = cfg

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
        result = super()._result(outputs, meta, rescale)
        return result[0] if self.metadata['detector'] == 'RPN' else result


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a path names an ONNX file."""
    return os.fspath(path).endswith('.onnx')


__all__ = ['ONNXDetector', 'is_onnx']
