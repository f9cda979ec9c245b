"""DropBlock (https://arxiv.org/abs/1810.12890)."""

from typing import Any

import torch
from mmcv.cnn import PLUGIN_LAYERS
from torch import Tensor, nn
from torch.nn import functional as F


@PLUGIN_LAYERS.register_module()
class DropBlock(nn.Module):
    """Set random squares of each channel to zero in training, and scale the rest up.

    Args:
        drop_prob: expected fraction of dropped cells, above 0, at most 1.
        block_size: side of the squares; odd.
        warmup_iters: the fraction rises from 0 to ``drop_prob`` over so many calls. Default: 2000.
        kwargs: ignored; blocks hand every plugin its ``in_channels``.

    Raises:
        ValueError: an even ``block_size``, a fraction out of its range, or a negative number of calls.
    """

    iter_cnt: Tensor

    def __init__(self, drop_prob: float, block_size: int, warmup_iters: int = 2000, **kwargs: Any) -> None:
        super().__init__()
        if block_size < 1 or block_size % 2 != 1 or not 0 < drop_prob <= 1 or warmup_iters < 0:
            raise ValueError(
                'expected an odd block_size, drop_prob in (0, 1] and warmup_iters >= 0, '
                f'got {block_size}, {drop_prob} and {warmup_iters}'
            )
        self.drop_prob = drop_prob
        self.block_size = block_size
        self.warmup_iters = warmup_iters
        self.register_buffer('iter_cnt', torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape; outside of training ``x`` itself."""
        if not self.training:
            return x
        self.iter_cnt.add_(1)
        height, width = x.shape[-2:]
        centres_shape = (*x.shape[:2], height - self.block_size + 1, width - self.block_size + 1)
        centres = torch.rand(centres_shape, device=x.device) < self._compute_gamma((height, width))
        # the squares stay within the map: centres are at least half a square from its border
        padded = F.pad(centres.to(x.dtype), [self.block_size // 2] * 4)
        kept = 1 - F.max_pool2d(padded, self.block_size, stride=1, padding=self.block_size // 2)
        return x * kept * (kept.numel() / (kept.sum() + 1e-6))

    def _compute_gamma(self, feat_size: tuple[int, int]) -> Tensor:
        """Probability that a cell is the middle of a square, for maps of height and width ``feat_size``."""
        height, width = feat_size
        places = (height - self.block_size + 1) * (width - self.block_size + 1)
        gamma = self.drop_prob * height * width / places / self.block_size**2
        warm: Tensor = self.iter_cnt / max(self.warmup_iters, 1)
        return gamma * warm.clamp(max=1)

    def extra_repr(self) -> str:
        """The settings."""
        return f'drop_prob={self.drop_prob}, block_size={self.block_size}, warmup_iters={self.warmup_iters}'
