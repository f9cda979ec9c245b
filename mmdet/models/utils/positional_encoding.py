"""Encodings of where a cell stands, for transformers."""

import math

import torch
from mmcv.cnn.bricks.registry import POSITIONAL_ENCODING
from mmcv.runner import BaseModule
from torch import Tensor, nn

# Default arguments, never written to.
UNIFORM = dict(type='Uniform', layer='Embedding')


def sine_cosine(position: Tensor, num_feats: int, temperature: float) -> Tensor:
    """Positions ``(...)`` to ``(..., num_feats)``: sine and cosine in turns, ever lower frequencies."""
    index = torch.arange(num_feats, dtype=torch.float32, device=position.device)
    angle = position[..., None] / temperature ** (2 * index.div(2, rounding_mode='floor') / num_feats)
    return torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), dim=-1).flatten(-2)


@POSITIONAL_ENCODING.register_module()
class SinePositionalEncoding(BaseModule):
    """Fixed encodings of row and column (https://arxiv.org/abs/2005.12872).

    Args:
        num_feats: features of the row and of the column each; even.
        temperature: ratio of the highest to the lowest frequency. Default: 10000.
        normalize: count rows and columns from 0 to ``scale`` over the image, instead of in cells. Default: False.
        scale: used with ``normalize``. Default: 2 pi.
        eps: keeps the division finite. Default: 1e-6.
        offset: added to the numbers of rows and columns with ``normalize``. Default: 0.
        init_cfg: no effect; nothing here is learnt.

    Raises:
        TypeError: ``scale`` is not a number and ``normalize`` is set.
    """

    def __init__(
        self,
        num_feats: int,
        temperature: float = 10000,
        normalize: bool = False,
        scale: float = 2 * math.pi,
        eps: float = 1e-6,
        offset: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if normalize and not isinstance(scale, (int, float)):
            raise TypeError(f'scale: expected a number, got {type(scale).__name__}')
        self.num_feats = num_feats
        self.temperature = temperature
        self.normalize = normalize
        self.scale = scale
        self.eps = eps
        self.offset = offset

    def forward(self, mask: Tensor) -> Tensor:
        """``mask`` ``(N, H, W)``, true on padding, to the encodings ``(N, 2 * num_feats, H, W)``, rows first."""
        valid = 1 - mask.to(torch.int)
        # counted over what is no padding, so that an encoding does not depend on how large the batch was padded
        rows = valid.cumsum(1, dtype=torch.float32)
        columns = valid.cumsum(2, dtype=torch.float32)
        if self.normalize:
            rows = (rows + self.offset) / (rows[:, -1:] + self.eps) * self.scale
            columns = (columns + self.offset) / (columns[:, :, -1:] + self.eps) * self.scale
        parts = [sine_cosine(position, self.num_feats, self.temperature) for position in (rows, columns)]
        return torch.cat(parts, dim=3).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """The settings."""
        names = ('num_feats', 'temperature', 'normalize', 'scale', 'eps')
        return ', '.join(f'{name}={getattr(self, name)}' for name in names)


@POSITIONAL_ENCODING.register_module()
class LearnedPositionalEncoding(BaseModule):
    """A learnt vector for each row and each column.

    Args:
        num_feats: features of the row and of the column each.
        row_num_embed: greatest number of rows. Default: 50.
        col_num_embed: greatest number of columns. Default: 50.
        init_cfg: initial values. Default: uniform.
    """

    def __init__(
        self,
        num_feats: int,
        row_num_embed: int = 50,
        col_num_embed: int = 50,
        init_cfg: dict | None = UNIFORM,
    ) -> None:
        super().__init__(init_cfg)
        self.row_embed = nn.Embedding(row_num_embed, num_feats)
        self.col_embed = nn.Embedding(col_num_embed, num_feats)
        self.num_feats = num_feats
        self.row_num_embed = row_num_embed
        self.col_num_embed = col_num_embed

    def forward(self, mask: Tensor) -> Tensor:
        """``mask`` ``(N, H, W)`` to the encodings ``(N, 2 * num_feats, H, W)``, columns first."""
        height, width = mask.shape[-2:]
        columns = self.col_embed.weight[:width].expand(height, -1, -1)
        rows = self.row_embed.weight[:height, None].expand(-1, width, -1)
        both = torch.cat((columns, rows), dim=-1).permute(2, 0, 1)
        return both.expand(mask.size(0), -1, -1, -1)

    def extra_repr(self) -> str:
        """The settings."""
        names = ('num_feats', 'row_num_embed', 'col_num_embed')
        return ', '.join(f'{name}={getattr(self, name)}' for name in names)
