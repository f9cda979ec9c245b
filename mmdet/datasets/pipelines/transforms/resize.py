"""Resizing."""

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np

from mmdet.datasets.pipelines.boxes import clip_boxes
from mmdet.datasets.pipelines.keypoints import scale_result_keypoints
from mmdet.datasets.registry import PIPELINES

Scale = tuple[int, int]
MULTISCALE_MODES = ('value', 'range')
BACKENDS = ('cv2', 'pillow')


def as_scale_list(img_scale: Scale | list[Scale] | None) -> list[Scale] | None:
    """``img_scale`` of a config, one pair or a list of them, as a list.

    Raises:
        TypeError: something else.
    """
    if img_scale is None:
        return None
    scales = img_scale if isinstance(img_scale, list) else [img_scale]
    if not mmcv.is_list_of(scales, tuple) or any(len(scale) != 2 for scale in scales):
        raise TypeError(f'img_scale: expected a tuple (long, short) or a list of them, got {img_scale!r}')
    if any(side <= 0 for scale in scales for side in scale):
        raise ValueError(f'img_scale: expected sides above 0 px, got {img_scale!r}')
    return scales


def set_scale(steps: Sequence[Any], scale_wh: Scale, where: str) -> None:
    """Let the ``Resize`` steps of a pipeline make images of one size, (width, height) px.

    Raises:
        ValueError: there is no such step.
    """
    found = [step for step in steps if isinstance(step, Resize)]
    if not found:
        raise ValueError(f'{where}: there is no Resize in its pipeline, so that the size of images cannot be changed')
    for step in found:
        step.img_scale = [(scale_wh[0], scale_wh[1])]


@PIPELINES.register_module()
class Resize:
    """Resize images, boxes, keypoints, masks and segmentation maps, by sizes that are fixed or drawn.

    The size is ``results['scale']`` where a step before has set it, else made of ``results['scale_factor']`` where that
    is set, else drawn from the arguments here:

    - ``ratio_range``: ``img_scale`` times a factor from the range;
    - one ``img_scale``: that;
    - two and ``multiscale_mode='range'``: the long and the short edge each drawn between those two;
    - several and ``'value'``: one of them.

    Sets ``scale``, ``scale_idx``, ``img_shape``, ``pad_shape``, ``keep_ratio``, and ``scale_factor``, the float32
    factors of (x1, y1, x2, y2).

    Args:
        img_scale: (long, short) edge in px (with ``keep_ratio=False``: (width, height)), or a list of them.
        multiscale_mode: 'range' or 'value'.
        ratio_range: (smallest, largest) factor.
        keep_ratio: keep the aspect ratio, with the size as an upper limit.
        bbox_clip_border: cut boxes to the image.
        backend: 'cv2' or 'pillow'.
        interpolation: of images, as in ``mmcv.imresize``; masks and maps take the nearest pixel.
        override: resize again by sizes drawn here, although a step before has resized already.

    Raises:
        ValueError: arguments that contradict each other.
        TypeError: sizes that are not pairs.
    """

    def __init__(
        self,
        img_scale: Scale | list[Scale] | None = None,
        multiscale_mode: str = 'range',
        ratio_range: tuple[float, float] | None = None,
        keep_ratio: bool = True,
        bbox_clip_border: bool = True,
        backend: str = 'cv2',
        interpolation: str = 'bilinear',
        override: bool = False,
    ) -> None:
        self.img_scale = as_scale_list(img_scale)
        if ratio_range is not None and (self.img_scale is None or len(self.img_scale) != 1):
            raise ValueError(f'Resize: ratio_range needs exactly one img_scale, got {img_scale!r}')
        if ratio_range is None and multiscale_mode not in MULTISCALE_MODES:
            raise ValueError(f'Resize: multiscale_mode must be one of {MULTISCALE_MODES}, got {multiscale_mode!r}')
        count = len(self.img_scale or ())
        if ratio_range is None and multiscale_mode == 'range' and count > 2:
            raise ValueError(f"Resize: multiscale_mode='range' needs two sizes, got {count}; 'value' draws one of them")
        if backend not in BACKENDS:
            raise ValueError(f'Resize: backend must be one of {BACKENDS}, got {backend!r}')
        self.multiscale_mode = multiscale_mode
        self.ratio_range = ratio_range
        self.keep_ratio = keep_ratio
        self.bbox_clip_border = bbox_clip_border
        self.backend = backend
        self.interpolation = interpolation
        self.override = override

    @staticmethod
    def random_select(img_scales: Sequence[Scale]) -> tuple[Scale, int]:
        """One of the sizes, and its number."""
        index = int(np.random.randint(len(img_scales)))
        return img_scales[index], index

    @staticmethod
    def random_sample(img_scales: Sequence[Scale]) -> tuple[Scale, None]:
        """A size between two, the edges drawn one by one, both ends included.

        Raises:
            ValueError: not two sizes.
        """
        if len(img_scales) != 2:
            raise ValueError(
                f"Resize: multiscale_mode='range' needs two sizes to draw between, got {len(img_scales)}: "
                f"{list(img_scales)}; for a choice of them use multiscale_mode='value'"
            )
        long_edges = [max(scale) for scale in img_scales]
        short_edges = [min(scale) for scale in img_scales]
        long_edge = int(np.random.randint(min(long_edges), max(long_edges) + 1))
        short_edge = int(np.random.randint(min(short_edges), max(short_edges) + 1))
        return (long_edge, short_edge), None

    @staticmethod
    def random_sample_ratio(img_scale: Scale, ratio_range: tuple[float, float]) -> tuple[Scale, None]:
        """``img_scale`` times a factor from ``ratio_range``."""
        min_ratio, max_ratio = ratio_range
        if min_ratio > max_ratio:
            raise ValueError(f'Resize: ratio_range must be (smallest, largest), got {ratio_range}')
        ratio = np.random.random_sample() * (max_ratio - min_ratio) + min_ratio
        return (int(img_scale[0] * ratio), int(img_scale[1] * ratio)), None

    def _random_scale(self, results: dict) -> None:
        """Draw ``scale``; ``scale_idx`` is its number in the list, or None where there is none."""
        if self.img_scale is None:
            raise ValueError('Resize: img_scale is needed, as no step before has set scale or scale_factor')
        if self.ratio_range is not None:
            scale, scale_idx = self.random_sample_ratio(self.img_scale[0], self.ratio_range)
        elif len(self.img_scale) == 1:
            scale, scale_idx = self.img_scale[0], 0
        elif self.multiscale_mode == 'range':
            scale, scale_idx = self.random_sample(self.img_scale)
        else:
            scale, scale_idx = self.random_select(self.img_scale)
        results['scale'] = scale
        results['scale_idx'] = scale_idx

    def _resize_img(self, results: dict) -> None:
        for key in results.get('img_fields', ['img']):
            img = results[key]
            height, width = img.shape[:2]
            size_wh = mmcv.rescale_size((width, height), results['scale']) if self.keep_ratio else results['scale']
            size_wh = tuple(max(1, side) for side in size_wh)  # the short edge of a panorama may come to nothing
            resized = mmcv.imresize(img, size_wh, interpolation=self.interpolation, backend=self.backend)
            # OpenCV drops the axis of a single channel
            results[key] = resized.reshape(*resized.shape[:2], *img.shape[2:])
            new_h, new_w = resized.shape[:2]
            factor = np.array([new_w / width, new_h / height] * 2, dtype=np.float32)
            results.update(img_shape=results[key].shape, pad_shape=results[key].shape, scale_factor=factor)
        results['keep_ratio'] = self.keep_ratio

    def _resize_bboxes(self, results: dict) -> None:
        for key in results.get('bbox_fields', []):
            boxes = results[key] * results['scale_factor']
            results[key] = clip_boxes(boxes, results['img_shape']) if self.bbox_clip_border else boxes

    def _resize_masks(self, results: dict) -> None:
        for key in results.get('mask_fields', []):
            results[key] = results[key].resize(results['img_shape'][:2])

    def _resize_seg(self, results: dict) -> None:
        size_wh = results['img_shape'][1::-1]
        for key in results.get('seg_fields', []):
            results[key] = mmcv.imresize(results[key], size_wh, interpolation='nearest', backend=self.backend)

    def __call__(self, results: dict) -> dict:
        if self.override:
            results.pop('scale', None)
            results.pop('scale_factor', None)
        if 'scale' not in results:
            if 'scale_factor' in results:
                height, width = results['img'].shape[:2]
                factor = results['scale_factor']
                results['scale'] = (int(width * factor), int(height * factor))
            else:
                self._random_scale(results)
        elif 'scale_factor' in results:
            raise ValueError('Resize: both scale and scale_factor are set; use override=True to resize a second time')
        self._resize_img(results)
        self._resize_bboxes(results)
        scale_result_keypoints(results, results['scale_factor'])
        self._resize_masks(results)
        self._resize_seg(results)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(img_scale={self.img_scale}, multiscale_mode={self.multiscale_mode}, '
            f'ratio_range={self.ratio_range}, keep_ratio={self.keep_ratio}, bbox_clip_border={self.bbox_clip_border})'
        )


@PIPELINES.register_module()
class SegRescale:
    """Rescale segmentation maps, as heads with a stride want them.

    Args:
        scale_factor: of the maps' edges.
        backend: 'cv2' or 'pillow'.
    """

    def __init__(self, scale_factor: float = 1, backend: str = 'cv2') -> None:
        self.scale_factor = scale_factor
        self.backend = backend

    def __call__(self, results: dict) -> dict:
        for key in results.get('seg_fields', []):
            if self.scale_factor != 1:
                results[key] = mmcv.imrescale(
                    results[key], self.scale_factor, interpolation='nearest', backend=self.backend
                )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale_factor={self.scale_factor}, backend={self.backend!r})'
