"""Several versions of one image for testing."""

import copy
import warnings
from collections.abc import Sequence

import mmcv

from mmdet.core.bbox.transforms import FLIP_DIRECTIONS
from mmdet.datasets.pipelines.compose import Compose, Step
from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import did_you_mean


@PIPELINES.register_module()
class MultiScaleFlipAug:
    """Run steps on an image once for each scale and flip.

    Args:
        transforms: the steps, among them ``Resize`` and ``RandomFlip`` without sizes and chances of their own.
        img_scale: one or several (long, short) sizes in px; either this or ``scale_factor`` is given.
        scale_factor: one or several factors.
        flip: also use flipped images.
        flip_direction: one or several of 'horizontal', 'vertical', 'diagonal'.

    Raises:
        ValueError: both or neither of ``img_scale`` and ``scale_factor`` are given.
        TypeError: a size is not a pair.
    """

    def __init__(
        self,
        transforms: Sequence[dict | Step],
        img_scale: tuple[int, int] | list[tuple[int, int]] | None = None,
        scale_factor: float | list[float] | None = None,
        flip: bool = False,
        flip_direction: str | list[str] = 'horizontal',
    ) -> None:
        if (img_scale is None) == (scale_factor is None):
            raise ValueError('MultiScaleFlipAug: expected either img_scale or scale_factor, got both or neither')
        self.transforms = Compose(transforms)
        self.scale_key = 'scale' if img_scale is not None else 'scale_factor'
        scales = img_scale if img_scale is not None else scale_factor
        self.img_scale = scales if isinstance(scales, list) else [scales]
        if self.scale_key == 'scale' and not mmcv.is_list_of(self.img_scale, tuple):
            raise TypeError(f'MultiScaleFlipAug: img_scale must be a tuple or a list of tuples, got {img_scale!r}')
        self.flip = flip
        self.flip_direction = flip_direction if isinstance(flip_direction, list) else [flip_direction]
        if self.scale_key == 'scale_factor' and not all(isinstance(s, (int, float)) for s in self.img_scale):
            raise TypeError(f'MultiScaleFlipAug: scale_factor must be a number or a list of them, got {scale_factor!r}')
        unknown = [direction for direction in self.flip_direction if direction not in FLIP_DIRECTIONS]
        if unknown:
            raise ValueError(
                f'MultiScaleFlipAug: flip_direction must be one of {FLIP_DIRECTIONS} or a list of them, '
                f'got {unknown[0]!r}{did_you_mean(str(unknown[0]), FLIP_DIRECTIONS)}'
            )
        if not flip and self.flip_direction != ['horizontal']:
            warnings.warn(
                f'MultiScaleFlipAug: flip is off, so flip_direction={flip_direction!r} is unused', stacklevel=2
            )

    def __call__(self, results: dict) -> dict | None:
        """A dict of lists: for each key that the steps give, one entry a version, scale by scale.

        An image that the steps refuse (None) is refused here too.
        """
        flips = [(False, None)] + [(True, direction) for direction in self.flip_direction if self.flip]
        versions = []
        for scale in self.img_scale:
            for flip, direction in flips:
                version = copy.copy(results)
                version.update({self.scale_key: scale, 'flip': flip, 'flip_direction': direction})
                made = self.transforms(version)
                if made is None:
                    return None
                versions.append(made)
        return {key: [version[key] for version in versions] for key in versions[0]}

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(transforms={self.transforms}, img_scale={self.img_scale}, '
            f'flip={self.flip}, flip_direction={self.flip_direction})'
        )
