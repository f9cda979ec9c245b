"""Average pooling to a given size."""

from torch import Tensor, nn
from torch.nn import functional as F


def adaptive_avg_pool2d(input: Tensor, output_size: int | tuple[int | None, int | None]) -> Tensor:
    """Average ``(N, C, H, W)`` over a grid of ``output_size`` cells; N may be 0."""
    return F.adaptive_avg_pool2d(input, output_size)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """``adaptive_avg_pool2d`` as a module."""

    output_size: int | tuple[int | None, int | None]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, *output_size)``."""
        return adaptive_avg_pool2d(x, self.output_size)
