"""From arrays to what models take: tensors in data containers, and the meta information beside them."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.parallel import DataContainer as DC
from torch import Tensor

from mmdet.datasets.pipelines.image_directives import DIRECTIVES
from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import did_you_mean

META_KEYS = (
    'filename',
    'ori_filename',
    'ori_shape',
    'img_shape',
    'pad_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'img_norm_cfg',
)
PAD_VALUES = dict(img=0, masks=0, seg=255)
OPENCV_KINDS = (np.uint8, np.float32)  # kinds of numbers of images that OpenCV knows in all its versions


def to_tensor(data: Tensor | np.ndarray | Sequence | int | float) -> Tensor:
    """A tensor of ``data``; arrays share their memory with it, numbers become tensors of one element.

    Raises:
        TypeError: another type.
    """
    if isinstance(data, Tensor):
        return data
    data = data.item() if isinstance(data, np.generic) else data
    if isinstance(data, np.ndarray):
        return torch.from_numpy(data)
    if isinstance(data, int):
        return torch.LongTensor([data])
    if isinstance(data, float):
        return torch.FloatTensor([data])
    if isinstance(data, Sequence) and not isinstance(data, str):
        return torch.tensor(data)
    raise TypeError(f'to_tensor: expected a tensor, an array, a sequence or a number, got {type(data).__name__}')


def image_to_tensor(img: np.ndarray) -> Tensor:
    """Image (h, w) or (h, w, c) -> contiguous tensor (c, h, w) of the same kind."""
    img = img[..., None] if img.ndim < 3 else img
    if img.dtype in OPENCV_KINDS and img.flags.c_contiguous and img.shape[2] == 3:
        planes = np.empty((3, *img.shape[:2]), img.dtype)
        cv2.split(img, list(planes))  # several times as fast as numpy's copy
        return torch.from_numpy(planes)
    return torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))


@PIPELINES.register_module()
class ToTensor:
    """Turn the values of ``keys`` into tensors."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys

    def __call__(self, results: dict) -> dict:
        for key in self.keys:
            results[key] = to_tensor(results[key])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys})'


@PIPELINES.register_module()
class ImageToTensor:
    """Turn images (h, w, c) or (h, w) under ``keys`` into tensors (c, h, w)."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys

    def __call__(self, results: dict) -> dict:
        for key in self.keys:
            results[key] = image_to_tensor(results[key])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys})'


@PIPELINES.register_module()
class Transpose:
    """Permute the axes of the arrays under ``keys`` to ``order``."""

    def __init__(self, keys: Sequence[str], order: Sequence[int]) -> None:
        self.keys = keys
        self.order = order

    def __call__(self, results: dict) -> dict:
        for key in self.keys:
            results[key] = results[key].transpose(self.order)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys}, order={self.order})'


@PIPELINES.register_module()
class ToDataContainer:
    """Put values into mmcv's data containers.

    Args:
        fields: for each value a dict with its ``key`` and the container's options (``stack``, ``cpu_only``, ...).
    """

    def __init__(
        self, fields: Sequence[dict] = (dict(key='img', stack=True), dict(key='gt_bboxes'), dict(key='gt_labels'))
    ) -> None:
        self.fields = fields

    def __call__(self, results: dict) -> dict:
        for field in self.fields:
            options = {name: value for name, value in field.items() if name != 'key'}
            results[field['key']] = DC(results[field['key']], **options)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(fields={self.fields})'


@PIPELINES.register_module()
class DefaultFormatBundle:
    """Put the usual values, as far as they are there, into data containers.

    ======================================================== =======================================================
    img                                                      tensor (c, h, w), stacked
    proposals, gt_bboxes, gt_bboxes_ignore, gt_labels,       tensor
    gt_keypoints, gt_weights
    gt_masks                                                 as they are, stay on the CPU
    gt_semantic_seg                                          tensor (1, h, w), stacked
    ======================================================== =======================================================

    ``pad_shape``, ``scale_factor`` and ``img_norm_cfg`` get the values of an untouched image where no step set them.

    Args:
        img_to_float: turn images of uint8 into float32.
        pad_val: what fills the room when images of unequal size are stacked: keys ``img``, ``masks``, ``seg``.
    """

    def __init__(self, img_to_float: bool = True, pad_val: dict = PAD_VALUES) -> None:
        self.img_to_float = img_to_float
        self.pad_val = dict(pad_val)

    def __call__(self, results: dict) -> dict:
        if 'img' in results:
            img = results['img']
            if self.img_to_float and img.dtype == np.uint8:
                img = results['img'] = img.astype(np.float32)
            results = self._add_default_meta_keys(results)
            results['img'] = DC(image_to_tensor(img), padding_value=self.pad_val['img'], stack=True)
        for key in ('proposals', 'gt_bboxes', 'gt_bboxes_ignore', 'gt_labels', 'gt_keypoints', 'gt_weights'):
            if key in results:
                results[key] = DC(to_tensor(results[key]))
        if 'gt_masks' in results:
            results['gt_masks'] = DC(results['gt_masks'], padding_value=self.pad_val['masks'], cpu_only=True)
        if 'gt_semantic_seg' in results:
            seg = to_tensor(results['gt_semantic_seg'][None, ...])
            results['gt_semantic_seg'] = DC(seg, padding_value=self.pad_val['seg'], stack=True)
        return results

    def _add_default_meta_keys(self, results: dict) -> dict:
        """Set what Resize, Pad and Normalize would have set, where they did not run."""
        img = results['img']
        num_channels = 1 if img.ndim < 3 else img.shape[2]
        results.setdefault('pad_shape', img.shape)
        results.setdefault('scale_factor', 1.0)
        results.setdefault(
            'img_norm_cfg',
            dict(mean=np.zeros(num_channels, np.float32), std=np.ones(num_channels, np.float32), to_rgb=False),
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(img_to_float={self.img_to_float})'


@PIPELINES.register_module()
class Collect:
    """Keep what the model needs: the values of ``keys``, and ``img_metas``.

    Directives of the image (``AddDirectives``) go into ``img_metas`` as well.

    Args:
        keys: names of the values to keep.
        meta_keys: names of the values that go into ``img_metas``, a dict in a data container that stays on the CPU.

    Raises:
        KeyError: (when called) a name is not in the results.
    """

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = META_KEYS) -> None:
        self.keys = keys
        self.meta_keys = meta_keys

    def __call__(self, results: dict) -> dict:
        metas = {key: self._get(results, key) for key in self.meta_keys} | results.get(DIRECTIVES, {})
        return dict(img_metas=DC(metas, cpu_only=True), **{key: self._get(results, key) for key in self.keys})

    def _get(self, results: dict, key: str) -> Any:
        if key not in results:
            raise KeyError(
                f'{type(self).__name__}: no step before has set {key!r}{did_you_mean(key, results)} '
                f'There is: {", ".join(map(str, results))}'
            )
        return results[key]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys}, meta_keys={self.meta_keys})'


@PIPELINES.register_module()
class WrapFieldsToLists:
    """Wrap every value into a list of one, the form that test-time augmentation gives.

    A test pipeline without ``MultiScaleFlipAug`` ends with this step.
    """

    def __call__(self, results: dict) -> dict:
        return {key: [value] for key, value in results.items()}

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
