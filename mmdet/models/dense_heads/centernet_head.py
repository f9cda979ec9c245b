"""CenterNet: objects are peaks of a heat map, with a size and an offset each (https://arxiv.org/abs/1904.07850)."""

from collections.abc import Sequence
from typing import cast

import torch
from mmcv.cnn import bias_init_with_prob, normal_init
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.corners.heatmaps import (
    border_of,
    draw_gaussians,
    gaussian_radii,
    heatmap_weights,
    objects_in_cells,
    suppress,
    write_cells,
)
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.models.utils.gaussian_target import get_local_maximum, get_topk_from_heatmap, transpose_and_gather_feat
from mmdet.models.utils.settings import as_config
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
HEATMAP_LOSS = dict(type='GaussianFocalLoss', loss_weight=1.0)
SIZE_LOSS = dict(type='L1Loss', loss_weight=0.1)
OFFSET_LOSS = dict(type='L1Loss', loss_weight=1.0)
MIN_OVERLAP = 0.3  # that a box moved by the radius of its Gaussian keeps with its object
FIRST_PROBABILITY = 0.1  # of each class at the start


@HEADS.register_module()
class CenterNetHead(BaseDenseHead, BBoxTestMixin):
    """A heat map of centres for each class, the sizes of boxes in cells and the offsets of centres in their cells.

    See :func:`heatmap_weights` for what a negative is.

    Args:
        in_channel: channels of the feature map.
        feat_channel: channels inside the head.
        num_classes: K, without background.
        loss_center_heatmap: config of the loss of the heat maps.
        loss_wh: config of the loss of the sizes.
        loss_offset: config of the loss of the offsets.
        train_cfg: not used.
        test_cfg: keys ``topk`` (peaks that are taken), ``local_maximum_kernel``, and for suppression ``nms`` and
            ``max_per_img``.
        init_cfg: initialisation of the weights.
    """

    has_sampler = False  # all cells count, so that the head reads ignored negatives itself
    use_sigmoid_cls = True

    def __init__(
        self,
        in_channel: int,
        feat_channel: int,
        num_classes: int,
        loss_center_heatmap: dict = HEATMAP_LOSS,
        loss_wh: dict = SIZE_LOSS,
        loss_offset: dict = OFFSET_LOSS,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.heatmap_head = self._build_head(in_channel, feat_channel, num_classes)
        self.wh_head = self._build_head(in_channel, feat_channel, 2)
        self.offset_head = self._build_head(in_channel, feat_channel, 2)
        self.loss_center_heatmap = build_loss(loss_center_heatmap)
        self.loss_wh = build_loss(loss_wh)
        self.loss_offset = build_loss(loss_offset)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)

    def _build_head(self, in_channel: int, feat_channel: int, out_channel: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channel, feat_channel, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(feat_channel, out_channel, 1),
        )

    def init_weights(self) -> None:
        """Classes start at a probability of 0.1; small normal weights for sizes and offsets."""
        nn.init.constant_(cast(Tensor, self.heatmap_head[-1].bias), bias_init_with_prob(FIRST_PROBABILITY))
        for head in (self.wh_head, self.offset_head):
            for layer in head.modules():
                if isinstance(layer, nn.Conv2d):
                    normal_init(layer, std=0.001)

    def forward_single(self, feat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, in_channel, h, w) -> probabilities of centres (N, K, h, w), sizes and offsets (N, 2, h, w), x first."""
        return self.heatmap_head(feat).sigmoid(), self.wh_head(feat), self.offset_head(feat)

    def loss(
        self,
        center_heatmap_preds: Sequence[Tensor],
        wh_preds: Sequence[Tensor],
        offset_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_center_heatmap``, ``loss_wh`` and ``loss_offset``, divided by the number of centres.

        Args:
            center_heatmap_preds: one map (N, K, h, w).
            wh_preds: one map (N, 2, h, w).
            offset_preds: one map (N, 2, h, w).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images; all have the ``pad_shape`` of the first.
            gt_bboxes_ignore: not used.

        Raises:
            ValueError: there is more than one level.
        """
        if not len(center_heatmap_preds) == len(wh_preds) == len(offset_preds) == 1:
            raise ValueError(f'CenterNetHead works on one level, got {len(center_heatmap_preds)}')
        scores, wh, offset = (to_full_precision(maps)[0] for maps in (center_heatmap_preds, wh_preds, offset_preds))
        shape = img_metas[0]['pad_shape']
        targets, count = self.get_targets(gt_bboxes, gt_labels, scores.shape, shape)
        heatmap = targets['center_heatmap_target']
        of_classes, of_boxes = heatmap_weights(self, scores, heatmap, gt_bboxes, img_metas, shape)
        return dict(
            loss_center_heatmap=self.loss_center_heatmap(scores, heatmap, of_classes, avg_factor=count),
            loss_wh=self.loss_wh(wh, targets['wh_target'], of_boxes, avg_factor=count * 2),
            loss_offset=self.loss_offset(offset, targets['offset_target'], of_boxes, avg_factor=count * 2),
        )

    def get_targets(
        self,
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        feat_shape: Sequence[int],
        img_shape: Sequence[int],
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Targets of a batch.

        Args:
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            feat_shape: (N, K, h, w).
            img_shape: (h, w[, c]) of the padded images, pixels.

        Returns:
            ``center_heatmap_target`` (N, K, h, w), ``wh_target`` and ``offset_target`` (N, 2, h, w) in cells, x first,
            and ``wh_offset_target_weight`` (N, 2, h, w), 1 at centres; the number of peaks, at least 1.
        """
        num, _, height, width = feat_shape
        boxes, labels, images = objects_in_cells(gt_bboxes, gt_labels, feat_shape, img_shape)
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        cells = centres.long().clamp(min=0).minimum(tensor_like([width - 1, height - 1], labels))
        maps, radii = images * self.num_classes + labels, gaussian_radii(sizes.flip(1), MIN_OVERLAP)
        heatmap = draw_gaussians(num * self.num_classes, (height, width), maps, cells, radii)
        heatmap = heatmap.view(num, self.num_classes, height, width)
        values = torch.cat([sizes, centres - cells, torch.ones_like(sizes)], dim=1)
        written = write_cells(values, images, cells, (num, height, width))
        names = ('wh_target', 'offset_target', 'wh_offset_target_weight')
        targets = dict(zip(names, written.split(2, dim=1)), center_heatmap_target=heatmap)
        return targets, heatmap.eq(1).sum().clamp(min=1)

    def get_bboxes(
        self,
        center_heatmap_preds: Sequence[Tensor],
        wh_preds: Sequence[Tensor],
        offset_preds: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool = True,
        with_nms: bool = False,
    ) -> list[tuple[Tensor, Tensor]]:
        """Maps to boxes, image by image.

        Args:
            center_heatmap_preds: one map (N, K, h, w) of probabilities.
            wh_preds: one map (N, 2, h, w).
            offset_preds: one map (N, 2, h, w).
            img_metas: meta information of the N images.
            rescale: give boxes in pixels of the original image.
            with_nms: suppress boxes that overlap; without, peaks are told apart by being greatest of their cells.

        Returns:
            for each image boxes with scores (k, 5) and labels (k,).
        """
        maps = [to_full_precision(level)[0].split(1) for level in (center_heatmap_preds, wh_preds, offset_preds)]
        return [
            self._get_bboxes_single(heatmap, sizes, offsets, meta, rescale, with_nms)
            for heatmap, sizes, offsets, meta in zip(*maps, img_metas)
        ]

    def _get_bboxes_single(
        self,
        center_heatmap_pred: Tensor,
        wh_pred: Tensor,
        offset_pred: Tensor,
        img_meta: ImgMeta,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Boxes of one image from its maps (1, ., h, w); see :meth:`get_bboxes`."""
        dets, labels = self.decode_heatmap(
            center_heatmap_pred,
            wh_pred,
            offset_pred,
            img_meta['batch_input_shape'],
            k=self.test_cfg.topk,
            kernel=self.test_cfg.local_maximum_kernel,
        )
        dets, labels = dets[0], labels[0]
        boxes = dets[:, :4] - tensor_like(border_of(img_meta) * 2, dets)
        if rescale:
            boxes = boxes / tensor_like(img_meta['scale_factor'], boxes)
        dets = torch.cat([boxes, dets[:, 4:]], dim=1)
        return self._bboxes_nms(dets, labels, self.test_cfg) if with_nms else (dets, labels)

    def decode_heatmap(
        self,
        center_heatmap_pred: Tensor,
        wh_pred: Tensor,
        offset_pred: Tensor,
        img_shape: Sequence[int],
        k: int = 100,
        kernel: int = 3,
    ) -> tuple[Tensor, Tensor]:
        """The ``k`` highest peaks of each image.

        Args:
            center_heatmap_pred: (N, K, h, w) probabilities.
            wh_pred: (N, 2, h, w).
            offset_pred: (N, 2, h, w).
            img_shape: (h, w) of the network's input, pixels.
            k: how many.
            kernel: a peak is the greatest of so many by so many cells.

        Returns:
            boxes with scores (N, k, 5) in pixels of the network's input; labels (N, k).
        """
        height, width = center_heatmap_pred.shape[2:]
        peaks = get_local_maximum(center_heatmap_pred, kernel=kernel)
        scores, cells, labels, rows, columns = get_topk_from_heatmap(peaks, k=min(k, peaks[0].numel()))
        half = transpose_and_gather_feat(wh_pred, cells) / 2
        centres = torch.stack([columns, rows], dim=-1) + transpose_and_gather_feat(offset_pred, cells)
        pixels = tensor_like([img_shape[1] / width, img_shape[0] / height], centres)
        return torch.cat([(centres - half) * pixels, (centres + half) * pixels, scores[..., None]], dim=-1), labels

    def _bboxes_nms(self, bboxes: Tensor, labels: Tensor, cfg: dict) -> tuple[Tensor, Tensor]:
        return suppress(bboxes, labels, cfg)
