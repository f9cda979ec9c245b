"""Made-up boxes for trying things out."""

import numpy as np
import torch
from torch import Tensor

from mmdet.utils.util_random import ensure_rng


def random_boxes(num: int = 1, scale: float = 1, rng: int | np.random.RandomState | None = None) -> Tensor:
    """(num, 4) float32 xyxy boxes, 0 <= x1 <= x2 <= scale, and so for y; ``rng`` is a seed or a generator."""
    corners = np.sort(ensure_rng(rng).rand(num, 2, 2).astype(np.float32) * scale, axis=1)
    return torch.from_numpy(corners.reshape(num, 4))


__all__ = ['ensure_rng', 'random_boxes']
