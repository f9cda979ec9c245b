"""The grid head of Grid R-CNN: it finds the points of a grid in each RoI."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.roi_heads.functional.compat import attached_zero
from mmdet.models.roi_heads.mask_heads.grid_points import (
    Region,
    boxes_from_heatmaps,
    grid_neighbours,
    grid_regions,
    heatmap_targets,
)

# Defaults of the constructor, which are part of its signature; never written to.
LOSS_GRID = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=15)
GN = dict(type='GN', num_groups=36)
RARE = 0.01  # the fraction of cells with a point, which the last layer's bias says at first
INIT_CFG: list[dict] = [
    dict(type='Kaiming', layer=['Conv2d', 'Linear']),
    dict(
        type='Normal',
        layer='ConvTranspose2d',
        std=0.001,
        override=dict(type='Normal', name='deconv2', std=0.001, bias=-math.log((1 - RARE) / RARE)),
    ),
]


@HEADS.register_module()
class GridHead(BaseModule):
    """Heatmaps of the P points of a g x g grid on each RoI (https://arxiv.org/abs/1811.12030).

    Args:
        grid_points: P, a square number of at least 4.
        num_convs: convolutions, of which the first halves the map.
        roi_feat_size: height and width of the RoI features.
        in_channels: channels of the RoI features.
        conv_kernel_size: of the convolutions.
        point_feat_channels: channels C that each point has of its own.
        deconv_kernel_size: of the two layers that enlarge the map, each twofold.
        class_agnostic: no effect; points have no class.
        loss_grid: the loss.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation; None or group norm.
        init_cfg: initialisation.

    Raises:
        ValueError: ``grid_points`` is no square number, or the normalisation is another or does not fit P * C.
    """

    directive_head, directive_fallback = 'bbox_head', 'roi_head'

    def __init__(
        self,
        grid_points: int = 9,
        num_convs: int = 8,
        roi_feat_size: int = 14,
        in_channels: int = 256,
        conv_kernel_size: int = 3,
        point_feat_channels: int = 64,
        deconv_kernel_size: int = 4,
        class_agnostic: bool = False,
        loss_grid: dict = LOSS_GRID,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = GN,
        init_cfg: dict | list[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        self.grid_points = grid_points
        self.grid_size = math.isqrt(grid_points)
        self.num_convs = num_convs
        self.roi_feat_size = roi_feat_size
        self.in_channels = in_channels
        self.conv_kernel_size = conv_kernel_size
        self.point_feat_channels = point_feat_channels
        self.conv_out_channels = point_feat_channels * grid_points
        self.class_agnostic = class_agnostic
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self._check_settings()
        self.whole_map_size = roi_feat_size * 4
        self.sub_regions = self.calc_sub_regions()
        self.neighbor_points = grid_neighbours(self.grid_size)
        self.num_edges = sum(map(len, self.neighbor_points))

        self.convs = self._build_convs()
        enlarge: dict[str, Any] = dict(stride=2, padding=(deconv_kernel_size - 2) // 2, groups=grid_points)
        self.deconv1 = nn.ConvTranspose2d(self.conv_out_channels, self.conv_out_channels, deconv_kernel_size, **enlarge)
        self.norm1 = nn.GroupNorm(grid_points, self.conv_out_channels)
        self.deconv2 = nn.ConvTranspose2d(self.conv_out_channels, grid_points, deconv_kernel_size, **enlarge)
        self.forder_trans = self._build_transitions()  # first order: from each neighbour
        self.sorder_trans = self._build_transitions()  # second order: from each neighbour's first-order features
        self.loss_grid = build_loss(loss_grid)

    def _check_settings(self) -> None:
        if self.grid_size**2 != self.grid_points or self.grid_size < 2:
            raise ValueError(f'grid_points: expected a square number of at least 4, got {self.grid_points}')
        if self.norm_cfg is None:
            return
        if self.norm_cfg['type'] != 'GN' or self.conv_out_channels % self.norm_cfg['num_groups']:
            raise ValueError(
                f'norm_cfg: expected None or GN with num_groups that divides {self.conv_out_channels} channels, '
                f'got {self.norm_cfg}'
            )

    def _build_convs(self) -> nn.Sequential:
        widths = [self.in_channels] + [self.conv_out_channels] * self.num_convs
        return nn.Sequential(
            *(
                ConvModule(
                    width_in,
                    width_out,
                    self.conv_kernel_size,
                    stride=2 if i == 0 else 1,
                    padding=(self.conv_kernel_size - 1) // 2,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    bias=True,
                )
                for i, (width_in, width_out) in enumerate(zip(widths, widths[1:]))
            )
        )

    def _build_transitions(self) -> nn.ModuleList:
        """For each point and each of its neighbours a 5x5 convolution by channel and a 1x1 convolution."""
        channels = self.point_feat_channels
        return nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(channels, channels, 5, padding=2, groups=channels), nn.Conv2d(channels, channels, 1)
                )
                for _ in neighbours
            )
            for neighbours in self.neighbor_points
        )

    def calc_sub_regions(self) -> list[Region]:
        """The part of the whole map that each point's heatmap covers, see :func:`grid_regions`."""
        return grid_regions(self.grid_size, self.whole_map_size)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """RoI features (n, C, s, s) -> logits ``fused`` and ``unfused`` (n, P, 2 s, 2 s); n may be 0.

        The unfused ones, made without neighbours, are for training; in a test they are the fused ones.

        Raises:
            ValueError: the features are not of size ``roi_feat_size``.
        """
        if x.shape[-2:] != (self.roi_feat_size, self.roi_feat_size):
            raise ValueError(f'roi_feat_size is {self.roi_feat_size}, but the features are {tuple(x.shape)}')
        x = self.convs(x)
        own = x.split(self.point_feat_channels, dim=1)
        first = self._fuse(own, own, self.forder_trans)
        second = self._fuse(own, first, self.sorder_trans)
        fused = self._heatmaps(torch.cat(second, dim=1))
        return dict(fused=fused, unfused=self._heatmaps(x) if self.training else fused)

    def _fuse(self, own: Sequence[Tensor], others: Sequence[Tensor], transitions: nn.ModuleList) -> list[Tensor]:
        """Features (n, C, h, w) of each point, plus what comes from its neighbours."""
        stacks = cast(Iterable[nn.ModuleList], transitions)
        return [
            own[i] + sum(transition(others[j]) for j, transition in zip(neighbours, of_point))
            for i, (neighbours, of_point) in enumerate(zip(self.neighbor_points, stacks))
        ]

    def _heatmaps(self, x: Tensor) -> Tensor:
        """(n, P * C, h, w) -> logits (n, P, 4 h, 4 w)."""
        return self.deconv2(F.relu(self.norm1(self.deconv1(x)), inplace=True))

    def get_targets(self, sampling_results: Sequence[Any], rcnn_train_cfg: Any) -> Tensor:
        """Heatmaps (p, P, 2 s, 2 s) of 0 and 1 for all positives.

        Args:
            sampling_results: one for each of N images, p positives in all.
            rcnn_train_cfg: has ``pos_radius``, cells around a point that are 1 as well.
        """
        return heatmap_targets(
            torch.cat([res.pos_bboxes for res in sampling_results]),
            torch.cat([res.pos_gt_bboxes for res in sampling_results]),
            self.sub_regions,
            self.grid_size,
            self.whole_map_size,
            rcnn_train_cfg.pos_radius,
        )

    def loss(
        self, grid_pred: dict[str, Tensor], grid_targets: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``loss_grid`` of the fused and the unfused logits; a zero in the graph where there are no RoIs.

        Args:
            grid_pred: of :meth:`forward`.
            grid_targets: (n, P, 2 s, 2 s).
            weights: (n,) factor of each RoI; the mean is over all RoIs, whatever their weights.
        """
        # each point must be told by its own features, too: points whose neighbours are hidden have nothing else
        parts = [grid_pred[name] for name in ('fused', 'unfused')]
        if not len(grid_targets):
            return dict(loss_grid=attached_zero(torch.cat(parts)))
        if weights is not None:
            weights = weights[:, None, None, None].expand_as(grid_targets)
        return dict(loss_grid=sum(self.loss_grid(part, grid_targets, weights) for part in parts))

    def get_bboxes(self, det_bboxes: Tensor, grid_pred: Tensor, img_metas: Sequence[ImgMeta]) -> Tensor:
        """Detections of one image with the boxes that the grid points say.

        Args:
            det_bboxes: (n, 5) xyxy px and score.
            grid_pred: fused logits (n, P, 2 s, 2 s).
            img_metas: unused. Boxes may end outside the image: an object's hidden side is where its points say.

        Returns:
            (n, 5).
        """
        boxes = boxes_from_heatmaps(det_bboxes[:, :4], grid_pred.sigmoid(), self.sub_regions, self.grid_size)
        return torch.cat([boxes, det_bboxes[:, 4:]], dim=1)
