"""Attention inside the windows of a map, as the Swin transformer has it (https://arxiv.org/abs/2103.14030)."""

from mmcv.cnn.bricks.drop import build_dropout
from mmcv.runner import BaseModule
from torch import Tensor, arange, nn, zeros
from torch.nn import functional as F

# Default arguments, never written to.
DROPOUT_LAYER = dict(type='DropPath', drop_prob=0.0)

# added to the logits of pairs of patches that only the shift has made neighbours; softmax makes it a zero
FAR_APART = -100.0


def window_partition(x: Tensor, size: int) -> Tensor:
    """``(N, H, W, C)`` to its windows ``(N * H / size * W / size, size, size, C)``, row by row."""
    count, height, width, channels = x.shape
    x = x.view(count, height // size, size, width // size, size, channels)
    # a map one window high may give a view with gaps between its rows
    return x.transpose(2, 3).reshape(-1, size, size, channels).contiguous()


def window_reverse(windows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of ``window_partition``: ``(N * H / size * W / size, size, size, C)`` to ``(N, H, W, C)``."""
    size, channels = windows.size(1), windows.size(-1)
    x = windows.view(-1, height // size, width // size, size, size, channels)
    return x.transpose(2, 3).reshape(-1, height, width, channels)


def shift_regions(length: int, size: int, shift: int, like: Tensor) -> Tensor:
    """Which of three parts, that lay apart before the shift, each row (or column) belongs to: ``(length,)``."""
    index = arange(length, device=like.device)
    return (index >= length - size).long() + (index >= length - shift).long()


def shifted_window_mask(height: int, width: int, size: int, shift: int, like: Tensor) -> Tensor:
    """What is added to the attention's logits in each window of a shifted map.

    Args:
        height, width: of the map, multiples of ``size``.
        size: of a window.
        shift: by how many rows and columns the map was rolled.
        like: gives device and type.

    Returns:
        ``(H / size * W / size, size ** 2, size ** 2)``: 0 for patches that were neighbours before the shift too.
    """
    rows = shift_regions(height, size, shift, like)
    columns = shift_regions(width, size, shift, like)
    regions = (rows[:, None] * 3 + columns)[None, :, :, None]
    regions = window_partition(regions, size).view(-1, size * size)
    apart = regions[:, :, None] != regions[:, None, :]
    return apart.to(like.dtype) * FAR_APART


class WindowMSA(BaseModule):
    """Multi-head self-attention of the patches of a window, with a learnt bias for each relative position.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        window_size: ``(rows, columns)`` of the window.
        qkv_bias: have a bias for queries, keys and values. Default: True.
        qk_scale: factor of the logits. Default: None, ``(embed_dims / num_heads) ** -0.5``.
        attn_drop_rate: dropout of the attention's weights. Default: 0.
        proj_drop_rate: dropout of the output. Default: 0.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: tuple[int, int],
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.window_size = window_size
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        rows, columns = window_size
        self.relative_position_bias_table = nn.Parameter(zeros((2 * rows - 1) * (2 * columns - 1), num_heads))
        offsets = self.double_step_seq(2 * columns - 1, rows, 1, columns)
        # counted from the last patch backwards, an offset is the largest one minus it
        self.register_buffer('relative_position_index', (offsets + offsets.T).flip(1).contiguous())
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_drop_rate)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop_rate)
        self.softmax = nn.Softmax(dim=-1)  # for a forward of users'; the one here is a fused kernel

    def init_weights(self) -> None:
        """Draw the biases of relative positions from a truncated normal distribution."""
        super().init_weights()
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def position_bias(self) -> Tensor:
        """The bias of each pair of patches: ``(num_heads, rows * columns, rows * columns)``."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(N * windows, rows * columns, embed_dims)`` to the same shape.

        Args:
            x: the windows of N images, image by image.
            mask: ``(windows, rows * columns, rows * columns)``, added to the logits. Default: None.
        """
        count, length, channels = x.shape
        query, key, value = self.qkv(x).view(count, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.position_bias()[None]
        if mask is not None:
            # (windows, heads, L, L), again for each image
            bias = (bias + mask[:, None]).repeat(count // len(mask), 1, 1, 1)
        out = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.attn_drop.p if self.training else 0.0,
            scale=self.scale,
        )
        return self.proj_drop(self.proj(out.transpose(1, 2).reshape(count, length, channels)))

    @staticmethod
    def double_step_seq(step1: int, len1: int, step2: int, len2: int) -> Tensor:
        """``i * step1 + j * step2`` for all i < len1, j < len2, as ``(1, len1 * len2)``."""
        return (arange(len1)[:, None] * step1 + arange(len2) * step2).reshape(1, -1)


class ShiftWindowMSA(BaseModule):
    """Attention inside the windows of a map, which may be shifted against each other from block to block.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        window_size: rows and columns of a window.
        shift_size: by how many rows and columns the windows are shifted; below ``window_size``. Default: 0.
        qkv_bias, qk_scale, attn_drop_rate, proj_drop_rate: see ``WindowMSA``.
        dropout_layer: kind of dropout of the output. Default: ``DropPath`` with probability 0.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: ``shift_size`` out of range.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int = 0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0,
        proj_drop_rate: float = 0,
        dropout_layer: dict = DROPOUT_LAYER,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 <= shift_size < window_size:
            raise ValueError(f'shift_size: expected a number in [0, {window_size}), got {shift_size}')
        self.window_size = window_size
        self.shift_size = shift_size
        self.w_msa = WindowMSA(
            embed_dims,
            num_heads,
            (window_size, window_size),
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop_rate=attn_drop_rate,
            proj_drop_rate=proj_drop_rate,
        )
        self.drop = build_dropout(dropout_layer)

    def forward(self, query: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """A sequence ``(N, H * W, embed_dims)`` to the same shape.

        Args:
            query: patches of a map, row by row.
            hw_shape: ``(H, W)``.

        Raises:
            ValueError: the sequence's length is not ``H * W``.
        """
        count, length, channels = query.shape
        height, width = hw_shape
        if length != height * width:
            raise ValueError(f'query: expected {height} * {width} patches, got {length}')
        size, shift = self.window_size, self.shift_size
        x = query.view(count, height, width, channels)
        x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
        padded = x.shape[1:3]
        mask = None
        if shift > 0:
            x = x.roll((-shift, -shift), dims=(1, 2))
            mask = shifted_window_mask(*padded, size, shift, like=x)
        windows = self.window_partition(x).view(-1, size * size, channels)
        windows = self.w_msa(windows, mask).view(-1, size, size, channels)
        x = self.window_reverse(windows, *padded)
        if shift > 0:
            x = x.roll((shift, shift), dims=(1, 2))
        x = x[:, :height, :width].reshape(count, length, channels)
        return self.drop(x)

    def window_reverse(self, windows: Tensor, H: int, W: int) -> Tensor:
        """``(N * windows, size, size, C)`` to ``(N, H, W, C)``."""
        return window_reverse(windows, H, W)

    def window_partition(self, x: Tensor) -> Tensor:
        """``(N, H, W, C)`` to ``(N * windows, size, size, C)``."""
        return window_partition(x, self.window_size)
