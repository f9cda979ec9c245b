"""Attention that reads sampled points of each feature map (Deformable DETR, https://arxiv.org/abs/2010.04159).

N: images; Q: queries; S: cells of all maps; M: heads; D: channels of a head; L: maps; P: points of a map.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.registry import ATTENTION
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.ops.compiled import mmcv_class, register_layer
from mmdet.utils.running.device_copy import tensor_like


def multi_scale_deformable_attn(
    value: Tensor, shapes_hw: Sequence[Sequence[int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """Weighted sums of bilinear values at points of several maps; zero outside of a map.

    Args:
        value: (N, S, M, D), map after map, row after row.
        shapes_hw: height and width of each of the L maps.
        locations: (N, Q, M, L, P, 2) x and y, 0 and 1 being the edges of a map.
        weights: (N, Q, M, L, P).

    Returns:
        (N, Q, M * D).
    """
    num_images, _, num_heads, channels = value.shape
    # grid_sample counts from -1 to 1
    grids = locations * 2 - 1
    sampled = []
    for level, (of_level, shape) in enumerate(zip(value.split([h * w for h, w in shapes_hw], 1), shapes_hw)):
        # (N, H * W, M, D) -> (N * M, D, H, W)
        maps = of_level.permute(0, 2, 3, 1).reshape(num_images * num_heads, channels, *shape)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)  # (N * M, Q, P, 2)
        sampled.append(F.grid_sample(maps, grid, align_corners=False))
    # (N, Q, M, L, P) -> (N * M, 1, Q, L * P)
    weights = weights.transpose(1, 2).flatten(0, 1).flatten(2)[:, None]
    out = (torch.cat(sampled, dim=-1) * weights).sum(-1)  # (N * M, D, Q)
    return out.view(num_images, num_heads * channels, -1).transpose(1, 2)


class MultiScaleDeformableAttention(mmcv_class('MultiScaleDeformableAttention', BaseModule)):
    """:func:`multi_scale_deformable_attn` around reference points, with offsets and weights made from the queries.

    It takes the place of the compiled module of that name; arguments and checkpoint keys are the same.

    Args:
        embed_dims: channels; a multiple of ``num_heads``.
        num_heads: M.
        num_levels: L.
        num_points: P.
        im2col_step: not used.
        dropout: fraction of dropped values of the output.
        batch_first: queries are (N, Q, C) instead of (Q, N, C).
        norm_cfg: not used.
        init_cfg: initialisation beside that of the head itself.

    Raises:
        ValueError: ``embed_dims`` is no multiple of ``num_heads``.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        im2col_step: int = 64,
        dropout: float = 0.1,
        batch_first: bool = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims={embed_dims} must be a multiple of num_heads={num_heads}')
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.num_levels = num_levels
        self.num_points = num_points
        self.im2col_step = im2col_step
        self.batch_first = batch_first
        self.norm_cfg = norm_cfg
        self.dropout = nn.Dropout(dropout)
        self.sampling_offsets = nn.Linear(embed_dims, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(embed_dims, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(embed_dims, embed_dims)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.init_weights()

    def init_weights(self) -> None:
        """Points start on rays, one for each head, point k at a distance of k cells; all weigh the same."""
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        rays = torch.stack([angles.cos(), angles.sin()], -1)
        # so that point k of each head stands on cells of a ring around the query, diagonals included
        rays = rays / rays.abs().amax(-1, keepdim=True)  # on the edge of a square
        steps = torch.arange(1, self.num_points + 1)[:, None]
        offsets = (rays[:, None, None] * steps).expand(-1, self.num_levels, -1, -1)  # (M, L, P, 2)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.flatten())
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self._is_init = True

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Tensor | Sequence[Sequence[int]] | None = None,
        level_start_index: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """The queries, and what they read.

        Args:
            query: (Q, N, C), or (N, Q, C) with ``batch_first``, as all that follow.
            key: not used.
            value: (S, N, C) what is read; None: the queries.
            identity: what the result is added to; None: the queries.
            query_pos: added to the queries before they make points.
            key_padding_mask: (N, S), True where there is padding, which is read as zero.
            reference_points: (N, Q, L, 2) x and y, 0 and 1 being the edges of the padded map; or (N, Q, L, 4) with w
                and h behind, which then scale the offsets.
            spatial_shapes: (L, 2) height and width of the maps.
            level_start_index: not used.
            kwargs: not used.

        Returns:
            Of the shape of ``query``.

        Raises:
            ValueError: the shapes do not fit.
        """
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.transpose(0, 1), value.transpose(0, 1)
        shapes_hw = spatial_shapes.tolist() if isinstance(spatial_shapes, Tensor) else list(spatial_shapes)
        if sum(h * w for h, w in shapes_hw) != value.size(1) or len(shapes_hw) != self.num_levels:
            raise ValueError(
                f'{self.num_levels} maps of the shapes {shapes_hw} do not have {value.size(1)} cells in all'
            )
        value = self.value_proj(value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0.0)
        sizes = (*query.shape[:2], self.num_heads, self.num_levels, self.num_points)
        weights = self.attention_weights(query).view(*sizes[:3], -1).softmax(-1).view(sizes)
        locations = self._locations(reference_points, self.sampling_offsets(query).view(*sizes, 2), shapes_hw)
        out = multi_scale_deformable_attn(value.unflatten(2, (self.num_heads, -1)), shapes_hw, locations, weights)
        out = self.output_proj(out)
        return self.dropout(out if self.batch_first else out.transpose(0, 1)) + identity

    def _locations(self, reference: Tensor, offsets: Tensor, shapes_hw: Sequence[Sequence[int]]) -> Tensor:
        """Reference points (N, Q, L, 2 or 4) and offsets (N, Q, M, L, P, 2) -> points (N, Q, M, L, P, 2)."""
        reference = reference[:, :, None, :, None]
        if reference.size(-1) == 2:
            size_wh = tensor_like([(w, h) for h, w in shapes_hw], offsets)
            return reference + offsets / size_wh[:, None]
        if reference.size(-1) == 4:
            # half the box's side for the last point at an offset of num_points: the initial points, up to num_points
            # cells out, begin inside the box
            return reference[..., :2] + offsets / self.num_points * reference[..., 2:] * 0.5
        raise ValueError(f'reference_points: expected 2 or 4 numbers, got {reference.size(-1)}')


register_layer(ATTENTION, 'MultiScaleDeformableAttention', MultiScaleDeformableAttention)
