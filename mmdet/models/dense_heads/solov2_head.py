"""SOLOv2: cells of a grid predict the kernels that make masks of shared features (https://arxiv.org/abs/2003.10152)."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.core.data_structures.instance_data import InstanceData
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.masks.grid_maps import (
    at_size,
    only_local_maxima,
    values_of_grids,
    with_positions,
)
from mmdet.models.dense_heads.functional.masks.grid_masks import GridTargets
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.models.dense_heads.functional.towers import rare_layers
from mmdet.models.dense_heads.solo_head import SOLOHead

SMALL_NORMAL, SOLOV2_INIT = rare_layers(), rare_layers('conv_cls')


def masks_of_kernels(features: Tensor, kernels: Tensor, side: int) -> Tensor:
    """Features (C, h, w) and kernels (n, C * side * side) -> logits of masks (n, h, w)."""
    # a kernel of zeros behind them: there is no convolution without kernels
    weights = F.pad(kernels, (0, 0, 0, 1)).view(-1, features.size(0), side, side)
    return F.conv2d(features[None], weights, padding=side // 2)[0, :-1]


class MaskFeatModule(BaseModule):
    """One map of features for all masks, from several levels.

    Args:
        in_channels: channels of the feature maps.
        feat_channels: channels inside.
        start_level: number of the finest level that is used.
        end_level: number of the coarsest, whose features get their positions, too.
        out_channels: channels of the result.
        mask_stride: pixels of a cell of the finest level.
        conv_cfg: kind of the convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        feat_channels: int,
        start_level: int,
        end_level: int,
        out_channels: int,
        mask_stride: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = SMALL_NORMAL,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.start_level = start_level
        self.end_level = end_level
        self.mask_stride = mask_stride
        self.out_channels = out_channels
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self._init_layers()

    def _init_layers(self) -> None:
        count = self.end_level - self.start_level + 1
        layer = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, inplace=False)
        self.convs_all_levels = nn.ModuleList()
        for level in range(count):
            channels = self.in_channels + 2 * (0 < level == count - 1)
            layers = nn.Sequential()
            for i in range(max(level, 1)):
                layers.add_module(f'conv{i}', ConvModule(channels, self.feat_channels, 3, padding=1, **layer))
                if level:
                    upsample = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)
                    layers.add_module(f'upsample{i}', upsample)
                channels = self.feat_channels
            self.convs_all_levels.append(layers)
        self.conv_pred = ConvModule(
            self.feat_channels, self.out_channels, 1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg
        )

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Feature maps (N, in_channels, H, W) of all levels -> (N, out_channels, h, w), as large as the finest used.

        Raises:
            ValueError: there are not so many levels.
        """
        inputs = list(feats[self.start_level : self.end_level + 1])
        if len(inputs) != len(self.convs_all_levels):
            raise ValueError(f'{len(feats)} feature maps, but levels {self.start_level} to {self.end_level} are used')
        if len(inputs) > 1:
            inputs[-1] = with_positions(inputs[-1])
        return self.conv_pred(sum(layers(x) for layers, x in zip(self.convs_all_levels, inputs)))


@HEADS.register_module()
class SOLOV2Head(SOLOHead):
    """Class scores of the cells of each level's grid, a kernel for each cell, and features that the kernels look at.

    A cell that several objects share learns the masks of all of them, and the class of the last one.

    Args:
        args: positional arguments of :class:`SOLOHead`.
        mask_feature_head: config of :class:`MaskFeatModule`.
        dynamic_conv_size: odd side of the kernels.
        dcn_cfg: kind of the towers' convolutions; None: ``Conv2d``.
        dcn_apply_to_all_conv: whether that is of all convolutions, or of each tower's last one.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`SOLOHead`.
    """

    last_object_only = False

    def __init__(
        self,
        *args: Any,
        mask_feature_head: dict,
        dynamic_conv_size: int = 1,
        dcn_cfg: dict | None = None,
        dcn_apply_to_all_conv: bool = True,
        init_cfg: dict | list | None = SOLOV2_INIT,
        **kwargs: Any,
    ) -> None:
        self.dcn_cfg = dcn_cfg
        self.with_dcn = dcn_cfg is not None
        self.dcn_apply_to_all_conv = dcn_apply_to_all_conv
        self.dynamic_conv_size = dynamic_conv_size
        self.kernel_out_channels = mask_feature_head['out_channels'] * dynamic_conv_size**2
        super().__init__(*args, **dict(init_cfg=init_cfg, **kwargs))
        channels = mask_feature_head.get('in_channels', self.in_channels)
        if channels != self.in_channels:
            warnings.warn(
                f'mask_feature_head.in_channels={channels} gives way to in_channels={self.in_channels} of the head',
                UserWarning,
                stacklevel=2,
            )
        settings = {'norm_cfg': self.norm_cfg, **mask_feature_head, 'in_channels': self.in_channels}
        self.mask_feature_head = MaskFeatModule(**settings)
        self.mask_stride = self.mask_feature_head.mask_stride

    def _init_layers(self) -> None:
        all_cfg = self.dcn_cfg if self.dcn_apply_to_all_conv else None
        self.cls_convs = self._tower(self.in_channels, self.dcn_cfg, all_cfg)
        self.kernel_convs = self._tower(self.in_channels + 2, self.dcn_cfg, all_cfg)
        self.conv_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)
        self.conv_kernel = nn.Conv2d(self.feat_channels, self.kernel_out_channels, 3, padding=1)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """L feature maps -> L maps of kernels (N, D, S, S) and of class logits (N, K, S, S), features (N, C, h, w)."""
        mask_feats = self.mask_feature_head(feats)
        kernels, scores = [], []
        for x, num_grid in zip(self.resize_feats(feats), self.num_grids):
            x = at_size(with_positions(x), (num_grid, num_grid))
            kernel_feat, cls_feat = x, x[:, :-2]
            for layer in self.kernel_convs:
                kernel_feat = layer(kernel_feat)
            for layer in self.cls_convs:
                cls_feat = layer(cls_feat)
            kernels.append(self.conv_kernel(kernel_feat))
            scores.append(self.conv_cls(cls_feat))
        return kernels, scores, mask_feats

    @property
    def _mask_strides(self) -> list[float]:
        return [self.mask_stride] * self.num_levels

    def loss(
        self,
        mlvl_kernel_preds: Sequence[Tensor],
        mlvl_cls_preds: Sequence[Tensor],
        mask_feats: Tensor,
        gt_labels: list[Tensor],
        gt_masks: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """``loss_mask`` and ``loss_cls``.

        Args:
            mlvl_kernel_preds: L maps (N, D, S, S).
            mlvl_cls_preds: L maps (N, K, S, S), logits.
            mask_feats: (N, C, h, w).
            gt_labels: N times (G,).
            gt_masks: N times (G, H, W), 0/1.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            kwargs: not used.
        """
        (features,), kernels = to_full_precision([mask_feats]), to_full_precision(mlvl_kernel_preds)

        def masks_of(level: int, images: Tensor, cells: Tensor) -> Tensor:
            chosen = kernels[level].flatten(2).transpose(1, 2)[images, cells]
            counts = images.bincount(minlength=len(features)).tolist()
            pairs = zip(features, chosen.split(counts))
            return torch.cat([masks_of_kernels(*pair, self.dynamic_conv_size) for pair in pairs])

        return self._losses(masks_of, features.shape[-2:], mlvl_cls_preds, gt_bboxes, gt_labels, gt_masks, img_metas)

    def _get_targets_single(
        self, gt_bboxes: Tensor, gt_labels: Tensor, gt_masks: Tensor, featmap_size: tuple[int, int] | None = None
    ) -> list[GridTargets]:
        """As of :class:`SOLOHead`, with the one size of all masks, which must be given."""
        assert featmap_size is not None, 'featmap_size must be given'
        return super()._get_targets_single(gt_bboxes, gt_labels, gt_masks, [featmap_size] * self.num_levels)

    def get_results(
        self,
        mlvl_kernel_preds: Sequence[Tensor],
        mlvl_cls_scores: Sequence[Tensor],
        mask_feats: Tensor,
        img_metas: list[ImgMeta],
        **kwargs: Any,
    ) -> list[InstanceData]:
        """Instances of each image, from what ``forward`` gave; see :meth:`SOLOHead.get_results`."""
        kernels = values_of_grids(mlvl_kernel_preds)
        scores = [only_local_maxima(level.sigmoid()) for level in to_full_precision(mlvl_cls_scores)]
        (features,) = to_full_precision([mask_feats])
        images = zip(kernels, values_of_grids(scores), features, img_metas)
        return [self._get_results_single(*image) for image in images]

    def _get_results_single(
        self, kernel_preds: Tensor, cls_scores: Tensor, mask_feats: Tensor, img_meta: ImgMeta, cfg: dict | None = None
    ) -> InstanceData:
        """Instances of one image, from kernels (R, D), class scores (R, K) and features (C, h, w)."""

        def masks_of(cells: Tensor) -> Tensor:
            return masks_of_kernels(mask_feats, kernel_preds[cells], self.dynamic_conv_size).sigmoid()

        return self._instances(cls_scores, masks_of, self.mask_stride, img_meta, cfg)
