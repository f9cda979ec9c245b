"""CutOut."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdet.datasets.registry import PIPELINES

Shape = tuple[float, float]


@PIPELINES.register_module()
class CutOut:
    """Paint rectangles of one colour over the image (https://arxiv.org/abs/1708.04552).

    Args:
        n_holes: how many, or (fewest, most), both included.
        cutout_shape: (w, h) of a rectangle in px, or a list to draw from; either this or ``cutout_ratio``.
        cutout_ratio: (w, h) as fractions of the image's edges, or a list of them.
        fill_in: colour, in the image's order of channels.

    Raises:
        ValueError: both or neither of ``cutout_shape`` and ``cutout_ratio``, or an impossible number.
    """

    def __init__(
        self,
        n_holes: int | tuple[int, int],
        cutout_shape: Shape | list[Shape] | None = None,
        cutout_ratio: Shape | list[Shape] | None = None,
        fill_in: Sequence[float] = (0, 0, 0),
    ) -> None:
        if (cutout_shape is None) == (cutout_ratio is None):
            raise ValueError('CutOut: expected either cutout_shape or cutout_ratio, got both or neither')
        self.n_holes = (n_holes, n_holes) if isinstance(n_holes, int) else tuple(n_holes)
        if len(self.n_holes) != 2 or not 0 <= self.n_holes[0] <= self.n_holes[1]:
            raise ValueError(f'CutOut: n_holes must be a number >= 0 or (fewest, most), got {n_holes!r}')
        candidates = cutout_ratio if cutout_shape is None else cutout_shape
        self.candidates: list[Any] = candidates if isinstance(candidates, list) else [candidates]
        self.with_ratio = cutout_ratio is not None
        self.fill_in = fill_in

    def sample(self, shape_hw: tuple[int, int]) -> list[tuple[int, int, int, int]]:
        """Draw the rectangles (x1, y1, x2, y2); they may reach beyond the image."""
        height, width = shape_hw
        holes = []
        for _ in range(np.random.randint(self.n_holes[0], self.n_holes[1] + 1)):
            x1, y1 = int(np.random.randint(0, width)), int(np.random.randint(0, height))
            hole_w, hole_h = self.candidates[np.random.randint(0, len(self.candidates))]
            if self.with_ratio:
                hole_w, hole_h = int(hole_w * width), int(hole_h * height)
            holes.append((x1, y1, x1 + hole_w, y1 + hole_h))
        return holes

    def __call__(self, results: dict) -> dict:
        img = results['img'].copy()  # an array that a cache may share
        for x1, y1, x2, y2 in self.sample(img.shape[:2]):
            img[y1:y2, x1:x2] = self.fill_in
        results['img'] = img
        return results

    def __repr__(self) -> str:
        name = 'cutout_ratio' if self.with_ratio else 'cutout_shape'
        return f'{type(self).__name__}(n_holes={self.n_holes}, {name}={self.candidates}, fill_in={self.fill_in})'
