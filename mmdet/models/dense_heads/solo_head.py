"""SOLO: instances by their locations, each cell of a grid with a mask of its own (https://arxiv.org/abs/1912.04488)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.data_structures.instance_data import InstanceData
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_mask_head import BaseMaskHead
from mmdet.models.dense_heads.functional.masks.grid_maps import (
    at_size,
    only_local_maxima,
    upsampled,
    values_of_grids,
    with_positions,
)
from mmdet.models.dense_heads.functional.masks.grid_masks import (
    Grid,
    GridTargets,
    columns_and_rows,
    instances_of_cells,
    rows_of_grids,
    summed_mask_losses,
    targets_of_image,
    values_of_cells,
)
from mmdet.models.dense_heads.functional.rows import sizes_of_maps, to_full_precision
from mmdet.models.dense_heads.functional.towers import GROUP_NORM, conv_tower, rare_layers
from mmdet.models.utils.settings import as_config

SCALE_RANGES = ((8, 32), (16, 64), (32, 128), (64, 256), (128, 512))
NUM_GRIDS = [40, 36, 24, 16, 12]
SOLO_INIT = rare_layers('conv_mask_list', 'conv_cls')
DECOUPLED_INIT = rare_layers('conv_mask_list_x', 'conv_mask_list_y', 'conv_cls')


@HEADS.register_module()
class SOLOHead(BaseMaskHead):
    """Class scores of the cells of each level's grid, and one mask for each cell.

    A cell without an object in it is a negative. A cell learns a mask only where an object's middle is in it.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        feat_channels: channels inside the head.
        stacked_convs: 3x3 convolutions in each tower.
        strides: of each level after resizing; the masks' cells are half as large.
        scale_ranges: for each level the smallest and the largest object (root of its box's area, pixels).
        pos_scale: size of an object's middle as a part of its box's.
        num_grids: cells a side of each level's grid.
        cls_down_index: before which layer of the classes' tower the features are resized to the grid.
        loss_mask: config of the loss of the masks; needed in training.
        loss_cls: config of the classification loss; needed.
        norm_cfg: normalisation in the towers.
        train_cfg: not used.
        test_cfg: see :func:`instances_of_cells`.
        init_cfg: initialisation of the weights.
    """

    directive_fallback = 'mask_head'
    has_sampler = False
    last_object_only = True  # whose mask a cell learns that several objects share

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        scale_ranges: Sequence[tuple[float, float]] = SCALE_RANGES,
        pos_scale: float = 0.2,
        num_grids: Sequence[int] = NUM_GRIDS,
        cls_down_index: int = 0,
        loss_mask: Any = None,
        loss_cls: Any = None,
        norm_cfg: dict | None = GROUP_NORM,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = SOLO_INIT,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.cls_out_channels = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.strides = strides
        self.num_grids = num_grids
        self.num_levels = len(strides)
        self.scale_ranges = scale_ranges
        self.pos_scale = pos_scale
        self.cls_down_index = cls_down_index
        self.norm_cfg = norm_cfg
        self.loss_cls = build_loss(loss_cls)
        self.loss_mask = build_loss(loss_mask)
        self.use_sigmoid_cls = True
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self._init_layers()

    def _tower(
        self, in_channels: int, last_conv_cfg: dict | None = None, conv_cfg: dict | None = None
    ) -> nn.ModuleList:
        layers = (self.feat_channels, self.stacked_convs, conv_cfg, self.norm_cfg)
        return conv_tower(in_channels, *layers, last_conv_cfg=last_conv_cfg)

    def _init_layers(self) -> None:
        self.mask_convs = self._tower(self.in_channels + 2)
        self.cls_convs = self._tower(self.in_channels)
        self.conv_mask_list = nn.ModuleList(nn.Conv2d(self.feat_channels, n * n, 1) for n in self.num_grids)
        self.conv_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)

    def resize_feats(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """L feature maps (N, C, H, W), the first in the second's size and the last in that of the one before."""
        sizes = sizes_of_maps(feats)
        sizes[0], sizes[-1] = sizes[1], sizes[-2]
        return [at_size(x, size) for x, size in zip(feats, sizes)]

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """L feature maps (N, in_channels, H, W) -> L maps of masks (N, S * S, h, w) and of class scores (N, K, S, S).

        In training these are logits, otherwise values in [0, 1], all masks are of one size, and of the classes' scores
        only local maxima are left.
        """
        feats = self.resize_feats(feats)
        size = (2 * feats[0].shape[-2], 2 * feats[0].shape[-1])
        masks, scores = [], []
        for level, x in enumerate(feats):
            masks.append(self._mask_maps(x, level))
            scores.append(self._class_map(x, level))
        if not self.training:
            masks = [tuple(at_size(m.sigmoid(), size) for m in level) for level in masks]
            scores = [only_local_maxima(level.sigmoid()) for level in scores]
        return (*map(list, zip(*masks)), scores)

    def _mask_maps(self, x: Tensor, level: int) -> tuple[Tensor, ...]:
        """Each kind of mask maps of one level, twice as large as its features."""
        return (self.conv_mask_list[level](upsampled(self.mask_convs, with_positions(x))),)

    def _class_map(self, x: Tensor, level: int) -> Tensor:
        """(N, K, S, S) logits of one level."""
        for i, layer in enumerate(self.cls_convs):
            if i == self.cls_down_index:
                x = at_size(x, (self.num_grids[level],) * 2)
            x = layer(x)
        return self.conv_cls(x)

    def loss(
        self,
        mlvl_mask_preds: Sequence[Tensor],
        mlvl_cls_preds: Sequence[Tensor],
        gt_labels: list[Tensor],
        gt_masks: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """``loss_mask`` and ``loss_cls``.

        Args:
            mlvl_mask_preds: L maps (N, S * S, h, w), logits.
            mlvl_cls_preds: L maps (N, K, S, S), logits.
            gt_labels: N times (G,).
            gt_masks: N times (G, H, W), 0/1.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            kwargs: not used.
        """
        masks = to_full_precision(mlvl_mask_preds)

        def masks_of(level: int, images: Tensor, cells: Tensor) -> Tensor:
            return masks[level][images, cells]

        sizes = sizes_of_maps(masks)
        return self._losses(masks_of, sizes, mlvl_cls_preds, gt_bboxes, gt_labels, gt_masks, img_metas)

    def _losses(
        self,
        masks_of: Callable[[int, Tensor, Tensor], Tensor],
        sizes: Any,
        mlvl_cls_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor] | None,
        gt_labels: list[Tensor],
        gt_masks: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> dict[str, Tensor]:
        """See :meth:`loss`.

        Args:
            masks_of: gives for a level, images (P,) and cells (P,) the predicted masks (P, h, w).
            sizes: (h, w) of each level's masks, as :meth:`_get_targets_single` takes them.
        """
        assert gt_bboxes is not None, 'gt_bboxes must be given'
        truth = zip(gt_bboxes, gt_labels, gt_masks)
        found = [self._get_targets_single(*image, sizes) for image in truth]
        labels, rows = rows_of_grids(found, self.num_classes)
        rows = self.weigh(rows, img_metas)
        scores = values_of_grids(mlvl_cls_preds)
        scores, weights = self.scores_for_loss(scores, labels, rows.label_weights, img_metas)
        num_pos = (labels < self.num_classes).sum()
        loss_mask = summed_mask_losses(self.loss_mask, masks_of, found, rows.bbox_weights[..., 0])
        loss_cls = self.loss_cls(scores.flatten(0, 1), labels.flatten(), weights.flatten(), avg_factor=num_pos + 1)
        return dict(loss_mask=loss_mask / num_pos.clamp(min=1), loss_cls=loss_cls)

    @property
    def _mask_strides(self) -> list[float]:
        """Pixels of a cell of the predicted masks of each level."""
        return [stride / 2 for stride in self.strides]

    @torch.no_grad()
    def _get_targets_single(
        self,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        gt_masks: Tensor,
        featmap_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> list[GridTargets]:
        """Targets of one image, one for each level.

        Args:
            gt_bboxes: (G, 4).
            gt_labels: (G,).
            gt_masks: (G, H, W).
            featmap_sizes: (h, w) of the masks of each level; must be given.
        """
        assert featmap_sizes is not None, 'featmap_sizes must be given'
        grids = list(map(Grid, self.num_grids, self.scale_ranges, self._mask_strides, featmap_sizes))
        options = (self.pos_scale, self.num_classes, self.last_object_only)
        return targets_of_image(gt_bboxes, gt_labels, gt_masks, grids, *options)

    def get_results(
        self,
        mlvl_mask_preds: Sequence[Tensor],
        mlvl_cls_scores: Sequence[Tensor],
        img_metas: list[ImgMeta],
        **kwargs: Any,
    ) -> list[InstanceData]:
        """Instances of each image, in the original images' size; see :func:`instances_of_cells`.

        Args:
            mlvl_mask_preds: L maps (N, S * S, h, w) in [0, 1], of one size.
            mlvl_cls_scores: L maps (N, K, S, S) in [0, 1].
            img_metas: meta information of the N images.
            kwargs: not used.
        """
        masks = torch.cat(to_full_precision(mlvl_mask_preds), dim=1)
        scores = values_of_grids(mlvl_cls_scores)
        return [self._get_results_single(*image) for image in zip(scores, masks, img_metas)]

    def _get_results_single(
        self, cls_scores: Tensor, mask_preds: Tensor, img_meta: ImgMeta, cfg: dict | None = None
    ) -> InstanceData:
        """Instances of one image, from class scores (R, K) and masks (R, h, w)."""
        return self._instances(cls_scores, lambda cells: mask_preds[cells], 4, img_meta, cfg)

    def _instances(
        self,
        cls_scores: Tensor,
        masks_of: Callable[[Tensor], Tensor],
        scale: int,
        img_meta: ImgMeta,
        cfg: dict | None = None,
    ) -> InstanceData:
        """See :func:`instances_of_cells`; ``cfg`` None: ``test_cfg``."""
        least = values_of_cells(self.strides, self.num_grids, cls_scores)
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        return instances_of_cells(cls_scores, masks_of, least, scale, img_meta, cfg)


@HEADS.register_module()
class DecoupledSOLOHead(SOLOHead):
    """:class:`SOLOHead` in which a cell's mask is the product of its column's and its row's.

    Args:
        args: positional arguments of :class:`SOLOHead`.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`SOLOHead`; ``loss_mask`` gets probabilities (``activate=False``).
    """

    def __init__(self, *args: Any, init_cfg: dict | list | None = DECOUPLED_INIT, **kwargs: Any) -> None:
        super().__init__(*args, **dict(init_cfg=init_cfg, **kwargs))

    def _init_layers(self) -> None:
        self.mask_convs_x = self._tower(self.in_channels + 1)
        self.mask_convs_y = self._tower(self.in_channels + 1)
        self.cls_convs = self._tower(self.in_channels)
        self._init_predictors()

    def _init_predictors(self) -> None:
        self.conv_mask_list_x, self.conv_mask_list_y = (
            nn.ModuleList(nn.Conv2d(self.feat_channels, n, 3, padding=1) for n in self.num_grids) for _ in range(2)
        )
        self.conv_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)

    def _mask_maps(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        placed = with_positions(x)
        of_columns = upsampled(self.mask_convs_x, placed[:, :-1])  # their towers see x alone, those of rows y alone
        of_rows = upsampled(self.mask_convs_y, torch.cat([x, placed[:, -1:]], dim=1))
        return self.conv_mask_list_x[level](of_columns), self.conv_mask_list_y[level](of_rows)

    def loss(
        self,
        mlvl_mask_preds_x: Sequence[Tensor],
        mlvl_mask_preds_y: Sequence[Tensor],
        mlvl_cls_preds: Sequence[Tensor],
        gt_labels: list[Tensor],
        gt_masks: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """As of :class:`SOLOHead`, with L maps (N, S, h, w) for columns and for rows."""
        columns, rows = to_full_precision(mlvl_mask_preds_x), to_full_precision(mlvl_mask_preds_y)

        def masks_of(level: int, images: Tensor, cells: Tensor) -> Tensor:
            side = self.num_grids[level]
            return columns[level][images, cells % side].sigmoid() * rows[level][images, cells // side].sigmoid()

        sizes = sizes_of_maps(columns)
        return self._losses(masks_of, sizes, mlvl_cls_preds, gt_bboxes, gt_labels, gt_masks, img_metas)

    def get_results(
        self,
        mlvl_mask_preds_x: Sequence[Tensor],
        mlvl_mask_preds_y: Sequence[Tensor],
        mlvl_cls_scores: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool | None = None,
        **kwargs: Any,
    ) -> list[InstanceData]:
        """As of :class:`SOLOHead`, with L maps (N, S, h, w) for columns and for rows; ``rescale`` is not used."""
        columns, rows = (torch.cat(to_full_precision(m), dim=1) for m in (mlvl_mask_preds_x, mlvl_mask_preds_y))
        scores = values_of_grids(mlvl_cls_scores)
        return [self._get_results_single(*image, None) for image in zip(scores, columns, rows, img_metas)]

    def _get_results_single(
        self, cls_scores: Tensor, mask_preds_x: Tensor, mask_preds_y: Tensor, img_meta: ImgMeta, cfg: dict | None
    ) -> InstanceData:
        """Instances of one image, from class scores (R, K) and masks (sum of S, h, w) of columns and of rows."""
        columns, rows = columns_and_rows(self.num_grids, cls_scores.device)

        def masks_of(cells: Tensor) -> Tensor:
            return mask_preds_x[columns[cells]] * mask_preds_y[rows[cells]]

        return self._instances(cls_scores, masks_of, 4, img_meta, cfg)


@HEADS.register_module()
class DecoupledSOLOLightHead(DecoupledSOLOHead):
    """:class:`DecoupledSOLOHead` with one tower for the masks of columns and rows.

    Args:
        args: positional arguments of :class:`SOLOHead`.
        dcn_cfg: kind of each tower's last convolution; None: as the others.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`SOLOHead`.
    """

    def __init__(
        self, *args: Any, dcn_cfg: dict | None = None, init_cfg: dict | list | None = DECOUPLED_INIT, **kwargs: Any
    ) -> None:
        self.dcn_cfg = dcn_cfg
        super().__init__(*args, **dict(init_cfg=init_cfg, **kwargs))

    def _init_layers(self) -> None:
        self.mask_convs = self._tower(self.in_channels + 2, self.dcn_cfg)
        self.cls_convs = self._tower(self.in_channels, self.dcn_cfg)
        self._init_predictors()

    def _mask_maps(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        x = upsampled(self.mask_convs, with_positions(x))
        return self.conv_mask_list_x[level](x), self.conv_mask_list_y[level](x)
