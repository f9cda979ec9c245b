"""Exported detectors with the interface of a detector: images in, results by class out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdet.core.bbox.transforms import bbox2result
from mmdet.core.img_meta import ImgMeta
from mmdet.core.keypoint.heatmaps import decode_heatmaps
from mmdet.utils.errors import ReportedError

MISSING_RUNTIME = 'running an ONNX file needs the package onnxruntime: pip install onnxruntime (or onnxruntime-gpu)'
Outputs = dict[str, Tensor]  # by name: dets, labels, masks, keypoints; see mmdet.apis.export


class DeployBaseDetector(nn.Module):
    """Base of detectors that run outside of torch.

    Args:
        class_names: names of the K classes.
        device_id: number of the GPU, where one is used.
    """

    def __init__(self, class_names: Sequence[str], device_id: int) -> None:
        super().__init__()
        self.CLASSES = tuple(class_names)
        self.num_classes = len(self.CLASSES)
        self.device_id = device_id

    def forward_test(self, *, img: Tensor, img_metas: Sequence[ImgMeta], **kwargs: Any) -> Outputs:
        """What the exported model gives for images (N, 3, H, W)."""
        raise NotImplementedError(f'{type(self).__name__} has no forward_test')

    def forward(
        self, img: Sequence[Tensor], img_metas: Sequence[list[ImgMeta]], return_loss: bool = True, **kwargs: Any
    ) -> list:
        """Results of a batch, as ``BaseDetector.forward_test`` gives them.

        Args:
            img: a list with one (N, 3, H, W), normalised.
            img_metas: a list with one list of the meta information of the N images.
            return_loss: must be given as False, as for other detectors.
            kwargs: ``rescale``: results in px of the original images (default).

        Raises:
            ValueError: losses are asked for, or there are several augmented versions.
        """
        if return_loss:
            raise ValueError('an exported model has no losses: call it with return_loss=False')
        if len(img) != 1:
            raise ValueError(f'an exported model cannot merge {len(img)} augmented versions of an image; test with one')
        outputs = self.forward_test(img=img[0], img_metas=img_metas[0])
        rescale = kwargs.get('rescale', True)
        return [
            self._result({name: value[i] for name, value in outputs.items()}, meta, rescale)
            for i, meta in enumerate(img_metas[0])
        ]

    def _only_forward(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: an exported model is whole, and cannot learn.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f'{type(self).__name__} is an exported model: it offers forward and forward_test only'
        )

    # names that 2.x gave it from its detectors
    simple_test = aug_test = async_simple_test = extract_feat = forward_train = val_step = train_step = _only_forward

    def _result(self, outputs: Outputs, meta: ImgMeta, rescale: bool) -> Any:
        """One image's outputs -> boxes by class, or a tuple of these, the masks and the keypoints by class."""
        found = outputs['labels'] >= 0
        outputs = {name: value[found] for name, value in outputs.items()}
        dets, labels = outputs['dets'], outputs['labels']
        scale = scale_of(meta, rescale)
        boxes = bbox2result(torch.cat([dets[:, :4] / scale, dets[:, 4:]], dim=1), labels, self.num_classes)
        masks = self._by_class(self._masks(outputs, meta, rescale), labels) if 'masks' in outputs else None
        if 'keypoints' not in outputs:
            return boxes if masks is None else (boxes, masks)
        decoded = decode_heatmaps(outputs['keypoints'], dets[:, :4])
        points = torch.cat([decoded.points / scale[:2], decoded.scores[..., None]], dim=2).numpy()
        return boxes, masks, [points[labels.numpy() == label] for label in range(self.num_classes)]

    def _by_class(self, masks: Sequence[np.ndarray], labels: Tensor) -> list[list[np.ndarray]]:
        """Masks in the order of ``labels`` -> for each class a list."""
        return [[masks[i] for i in (labels == k).nonzero().flatten().tolist()] for k in range(self.num_classes)]

    def _masks(self, outputs: Outputs, meta: ImgMeta, rescale: bool) -> Sequence[np.ndarray]:
        """Masks (H, W) bool of one image's detections."""
        raise NotImplementedError("masks: load the file by mmdet.apis.init_detector(CONFIG, 'model.onnx')")


def scale_of(meta: ImgMeta, rescale: bool) -> Tensor:
    """(4,) network input / original image of x1, y1, x2, y2; ones where nothing is rescaled."""
    return torch.as_tensor(np.broadcast_to(meta['scale_factor'] if rescale else 1.0, 4).copy(), dtype=torch.float32)


class ONNXRuntimeDetector(DeployBaseDetector):
    """An ONNX file of ``tools/deployment/export.py``, run by onnxruntime.

    Args:
        onnx_file: path of the file.
        class_names: names of the K classes.
        device_id: number of the GPU that is used where onnxruntime has CUDA.

    Attributes:
        properties: what the file says of itself, texts by name.

    Raises:
        ImportError: onnxruntime is not installed.
    """

    def __init__(self, onnx_file: str, class_names: Sequence[str], device_id: int) -> None:
        super().__init__(class_names, device_id)
        self.session = open_session(onnx_file, device_id)
        self.properties: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def feeds(self, img: Tensor, img_metas: Sequence[ImgMeta]) -> list[dict[str, np.ndarray]]:
        """What the session is given for a batch, in one call or several; arguments of :meth:`forward_test`."""
        feed = {'input': img.cpu().numpy()}
        if 'sizes' in self.inputs:
            feed['sizes'] = np.array([meta['img_shape'][:2] for meta in img_metas], dtype=np.int64)
        return [feed]

    def forward_test(self, *, img: Tensor, img_metas: Sequence[ImgMeta], **kwargs: Any) -> Outputs:
        """See :meth:`DeployBaseDetector.forward_test`."""
        found = [self.session.run(self.outputs, feed) for feed in self.feeds(img, img_metas)]
        return {name: torch.from_numpy(np.concatenate(parts)) for name, parts in zip(self.outputs, zip(*found))}


class TensorRTDetector(DeployBaseDetector):
    """Not offered: TensorRT runs the ONNX file itself, by its own command ``trtexec --onnx=model.onnx``.

    Raises:
        NotImplementedError: always.
    """

    def __init__(
        self, engine_file: str, class_names: Sequence[str], device_id: int, output_names: Sequence[str] | None = None
    ) -> None:
        raise NotImplementedError(
            'TensorRTDetector is not there: see docs/deployment.md for running an exported model by TensorRT'
        )


def open_session(path: str, device_id: int = 0) -> Any:
    """An ``onnxruntime.InferenceSession`` on the GPU where onnxruntime has CUDA and there is one, else on the CPU.

    Raises:
        ImportError: onnxruntime is not installed.
        OSError: there is no such file.
        ReportedError: the file is no ONNX model, or has operators that the installed onnxruntime does not know.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(MISSING_RUNTIME) from error
    providers: list[Any] = ['CPUExecutionProvider']
    if 'CUDAExecutionProvider' in onnxruntime.get_available_providers() and torch.cuda.is_available():
        providers.insert(0, ('CUDAExecutionProvider', dict(device_id=device_id)))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; the rest is about weights that no node uses
    options.intra_op_num_threads = torch.get_num_threads()
    with open(path, 'rb'):  # onnxruntime's own error of a missing file is none of the system's
        pass
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # onnxruntime has many kinds
        raise ReportedError(f'onnxruntime cannot read {path}: {error}') from error


__all__ = ['DeployBaseDetector', 'ONNXRuntimeDetector', 'TensorRTDetector', 'open_session', 'scale_of']
