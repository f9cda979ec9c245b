"""CornerNet: objects are pairs of corners whose tags agree (https://arxiv.org/abs/1808.01244)."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule, bias_init_with_prob
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.corners.bi_corner_pool import BiCornerPool
from mmdet.models.dense_heads.functional.corners.corners import (
    accepted_boxes,
    decode_corners,
    targets_of_kinds,
    weighed_targets,
)
from mmdet.models.dense_heads.functional.corners.heatmaps import suppress
from mmdet.models.dense_heads.functional.corners.losses import class_loss, corner_losses, shift_loss
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.models.utils.export import detection_limit, stack_detections
from mmdet.models.utils.settings import as_config
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
HEATMAP_LOSS = dict(type='GaussianFocalLoss', alpha=2.0, gamma=4.0, loss_weight=1)
TAG_LOSS = dict(type='AssociativeEmbeddingLoss', pull_weight=0.25, push_weight=0.25)
OFFSET_LOSS = dict(type='SmoothL1Loss', beta=1.0, loss_weight=1)
FIRST_PROBABILITY = 0.1  # of each class at the start


@HEADS.register_module()
class CornerHead(BaseDenseHead, BBoxTestMixin):
    """Heat maps of both corners for each class, their offsets in the cells, and tags that tell which belong together.

    The levels are the outputs of hourglasses of one size; all have losses, the last one makes the detections. See
    :func:`heatmap_weights` for what a negative is.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        num_feat_levels: number of feature maps.
        corner_emb_channels: numbers of a tag; 0: no tags.
        train_cfg: not used.
        test_cfg: keys ``corner_topk`` (corners of each kind), ``local_maximum_kernel``, ``distance_threshold`` (of
            tags), ``nms``, ``max_per_img``.
        loss_heatmap: config of the loss of the heat maps.
        loss_embedding: config of the loss of the tags.
        loss_offset: config of the loss of the offsets.
        init_cfg: initialisation of the weights.
    """

    has_sampler = False  # all cells count, so that the head reads ignored negatives itself
    use_sigmoid_cls = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_feat_levels: int = 2,
        corner_emb_channels: int = 1,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        loss_heatmap: dict = HEATMAP_LOSS,
        loss_embedding: dict = TAG_LOSS,
        loss_offset: dict = OFFSET_LOSS,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.corner_emb_channels = corner_emb_channels
        self.with_corner_emb = corner_emb_channels > 0
        self.corner_offset_channels = 2
        self.num_feat_levels = num_feat_levels
        self.loss_heatmap = build_loss(loss_heatmap) if loss_heatmap is not None else None
        self.loss_embedding = build_loss(loss_embedding) if loss_embedding is not None else None
        self.loss_offset = build_loss(loss_offset) if loss_offset is not None else None
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self._init_layers()

    def _make_layers(self, out_channels: int, in_channels: int = 256, feat_channels: int = 256) -> nn.Sequential:
        return nn.Sequential(
            ConvModule(in_channels, feat_channels, 3, padding=1),
            ConvModule(feat_channels, out_channels, 1, norm_cfg=None, act_cfg=None),
        )

    def _per_level(self, out_channels: int) -> nn.ModuleList:
        width = self.in_channels
        return nn.ModuleList(self._make_layers(out_channels, width) for _ in range(self.num_feat_levels))

    def _init_corner_kpt_layers(self) -> None:
        width, levels = self.in_channels, range(self.num_feat_levels)
        self.tl_pool = nn.ModuleList(BiCornerPool(width, ['top', 'left'], out_channels=width) for _ in levels)
        self.br_pool = nn.ModuleList(BiCornerPool(width, ['bottom', 'right'], out_channels=width) for _ in levels)
        self.tl_heat, self.br_heat = self._per_level(self.num_classes), self._per_level(self.num_classes)
        self.tl_off = self._per_level(self.corner_offset_channels)
        self.br_off = self._per_level(self.corner_offset_channels)

    def _init_corner_emb_layers(self) -> None:
        self.tl_emb = self._per_level(self.corner_emb_channels)
        self.br_emb = self._per_level(self.corner_emb_channels)

    def _init_layers(self) -> None:
        self._init_corner_kpt_layers()
        if self.with_corner_emb:
            self._init_corner_emb_layers()

    def init_weights(self) -> None:
        """Torch's own values of the last convolutions; classes start at a probability of 0.1."""
        super().init_weights()
        names = ['tl_heat', 'br_heat', 'tl_off', 'br_off'] + ['tl_emb', 'br_emb'] * self.with_corner_emb
        for layers in (layers for name in names for layers in getattr(self, name)):
            layers[-1].conv.reset_parameters()
        for layers in (*self.tl_heat, *self.br_heat):
            nn.init.constant_(layers[-1].conv.bias, bias_init_with_prob(FIRST_PROBABILITY))

    def forward(self, feats: Sequence[Tensor]) -> tuple[list, ...]:
        """L feature maps -> L times each of the items of :meth:`forward_single`."""
        return multi_apply(self.forward_single, feats, list(range(self.num_feat_levels)))

    def forward_single(self, x: Tensor, lvl_ind: int, return_pool: bool = False) -> list[Tensor | None]:
        """One level (N, in_channels, h, w) -> its maps, top-left before bottom-right.

        Args:
            x: features.
            lvl_ind: number of the level.
            return_pool: also give the pooled features.

        Returns:
            class logits (N, K, h, w) twice, tags (N, E, h, w) twice (None without tags), offsets (N, 2, h, w) twice,
            and if asked for the pooled features twice.
        """
        tl_pool, br_pool = self.tl_pool[lvl_ind](x), self.br_pool[lvl_ind](x)
        tags = [None, None]
        if self.with_corner_emb:
            tags = [self.tl_emb[lvl_ind](tl_pool), self.br_emb[lvl_ind](br_pool)]
        heats = [self.tl_heat[lvl_ind](tl_pool), self.br_heat[lvl_ind](br_pool)]
        offsets = [self.tl_off[lvl_ind](tl_pool), self.br_off[lvl_ind](br_pool)]
        return [*heats, *tags, *offsets] + [tl_pool, br_pool] * return_pool

    def get_targets(
        self,
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        feat_shape: Sequence[int],
        img_shape: Sequence[int],
        with_corner_emb: bool = False,
        with_guiding_shift: bool = False,
        with_centripetal_shift: bool = False,
    ) -> dict[str, Any]:
        """Targets of a batch.

        Args:
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            feat_shape: (N, K, h, w).
            img_shape: (h, w[, c]) of the padded images, pixels.
            with_corner_emb: also give ``corner_embedding``: for each image, for each object row and column of both
                corners.
            with_guiding_shift: also give the guiding shifts.
            with_centripetal_shift: also give the centripetal shifts.

        Returns:
            see :func:`corner_targets`.
        """
        kinds = ['heatmap', 'offset'] + ['guiding_shift'] * with_guiding_shift
        kinds += ['centripetal_shift'] * with_centripetal_shift
        return targets_of_kinds(gt_bboxes, gt_labels, feat_shape, img_shape, kinds, with_corner_emb)

    def loss(
        self,
        tl_heats: Sequence[Tensor],
        br_heats: Sequence[Tensor],
        tl_embs: Sequence[Tensor | None],
        br_embs: Sequence[Tensor | None],
        tl_offs: Sequence[Tensor],
        br_offs: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``det_loss``, ``off_loss`` and, with tags, ``pull_loss`` and ``push_loss``, one tensor a level each.

        Args:
            tl_heats, br_heats: L maps (N, K, h, w).
            tl_embs, br_embs: L maps (N, E, h, w) or None.
            tl_offs, br_offs: L maps (N, 2, h, w).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images; all have the ``pad_shape`` of the first.
            gt_bboxes_ignore: not used.
        """
        tl_heats, br_heats, tl_offs, br_offs = map(to_full_precision, (tl_heats, br_heats, tl_offs, br_offs))
        shape = img_metas[0]['pad_shape']
        targets = self.get_targets(gt_bboxes, gt_labels, tl_heats[-1].shape, shape, self.with_corner_emb)
        of_levels = [weighed_targets(self, targets, heats, gt_bboxes, img_metas) for heats in zip(tl_heats, br_heats)]
        maps = tl_heats, br_heats, tl_embs, br_embs, tl_offs, br_offs
        det, pull, push, off = multi_apply(self.loss_single, *maps, of_levels)
        return dict(det_loss=det, off_loss=off) | (dict(pull_loss=pull, push_loss=push) if self.with_corner_emb else {})

    def loss_single(
        self,
        tl_hmp: Tensor,
        br_hmp: Tensor,
        tl_emb: Tensor | None,
        br_emb: Tensor | None,
        tl_off: Tensor,
        br_off: Tensor,
        targets: dict[str, Any],
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
        """Detection, pull, push and offset loss of one level; the maps as of :meth:`loss`, the targets weighed."""
        det = corner_losses(class_loss(self.loss_heatmap), 'heatmap', tl_hmp, br_hmp, targets)
        off = corner_losses(shift_loss(self.loss_offset), 'offset', tl_off, br_off, targets)
        pull = push = None
        if self.with_corner_emb:
            tags = tl_emb, br_emb, targets['corner_embedding']
            pull, push = self.loss_embedding(*tags, weights=targets.get('image_weights'))
        return det, pull, push, off

    def get_bboxes(
        self,
        tl_heats: Sequence[Tensor],
        br_heats: Sequence[Tensor],
        tl_embs: Sequence[Tensor],
        br_embs: Sequence[Tensor],
        tl_offs: Sequence[Tensor],
        br_offs: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[tuple[Tensor, Tensor]]:
        """Maps of the last level, see :meth:`loss`, to boxes with scores (k, 5) and labels (k,) of each image.

        Args:
            img_metas: meta information of the N images.
            rescale: give boxes in pixels of the original image.
            with_nms: False gives what would enter the suppression.
        """
        maps = tl_heats[-1], br_heats[-1], tl_offs[-1], br_offs[-1]
        tags = dict(tl_emb=tl_embs[-1], br_emb=br_embs[-1])
        return self._images_bboxes(maps, tags, img_metas, rescale, with_nms)

    def _images_bboxes(
        self,
        maps: Sequence[Tensor],
        pairing: dict[str, Tensor],
        img_metas: list[ImgMeta],
        rescale: bool,
        with_nms: bool,
    ) -> list[tuple[Tensor, Tensor]]:
        """:meth:`_get_bboxes_single` of each image; ``pairing``: the maps that tell which corners belong together."""
        of_images = zip(*(level.split(1) for level in to_full_precision(maps)))
        paired = zip(*(level.split(1) for level in to_full_precision(list(pairing.values()))))
        how: dict[str, Any] = dict(rescale=rescale, with_nms=with_nms)
        return [
            self._get_bboxes_single(tl_heat, br_heat, tl_off, br_off, meta, **dict(zip(pairing, own)), **how)
            for (tl_heat, br_heat, tl_off, br_off), own, meta in zip(of_images, paired, img_metas)
        ]

    def onnx_export(
        self,
        tl_heats: Sequence[Tensor],
        br_heats: Sequence[Tensor],
        tl_embs: Sequence[Tensor],
        br_embs: Sequence[Tensor],
        tl_offs: Sequence[Tensor],
        br_offs: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool = False,
        with_nms: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`BaseDenseHead.onnx_export`."""
        outs = (tl_heats, br_heats, tl_embs, br_embs, tl_offs, br_offs)
        results = self.get_bboxes(*outs, img_metas=img_metas, rescale=rescale, with_nms=with_nms)
        return stack_detections(results, detection_limit(self.test_cfg))

    def _get_bboxes_single(
        self,
        tl_heat: Tensor,
        br_heat: Tensor,
        tl_off: Tensor,
        br_off: Tensor,
        img_meta: ImgMeta,
        tl_emb: Tensor | None = None,
        br_emb: Tensor | None = None,
        tl_centripetal_shift: Tensor | None = None,
        br_centripetal_shift: Tensor | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Boxes of one image from its maps (1, ., h, w)."""
        boxes, scores, classes = self.decode_heatmap(
            tl_heat.sigmoid(),
            br_heat.sigmoid(),
            tl_off,
            br_off,
            tl_emb,
            br_emb,
            tl_centripetal_shift,
            br_centripetal_shift,
            img_meta,
            k=self.test_cfg.corner_topk,
            kernel=self.test_cfg.local_maximum_kernel,
            distance_threshold=self.test_cfg.distance_threshold,
        )
        boxes = boxes / tensor_like(img_meta['scale_factor'], boxes) if rescale else boxes
        dets, labels = accepted_boxes(boxes[0], scores[0], classes[0])
        return self._bboxes_nms(dets, labels, self.test_cfg) if with_nms else (dets, labels)

    def _bboxes_nms(self, bboxes: Tensor, labels: Tensor, cfg: dict) -> tuple[Tensor, Tensor]:
        return suppress(bboxes, labels, cfg)

    def decode_heatmap(
        self,
        tl_heat: Tensor,
        br_heat: Tensor,
        tl_off: Tensor,
        br_off: Tensor,
        tl_emb: Tensor | None = None,
        br_emb: Tensor | None = None,
        tl_centripetal_shift: Tensor | None = None,
        br_centripetal_shift: Tensor | None = None,
        img_meta: Any = None,
        k: int = 100,
        kernel: int = 3,
        distance_threshold: float = 0.5,
        num_dets: int = 1000,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes of the best pairs of corners; see :func:`decode_corners`.

        Args:
            tl_heat, br_heat: (N, K, h, w) probabilities.
            tl_off, br_off: (N, 2, h, w).
            tl_emb, br_emb: (N, 1, h, w) tags; or
            tl_centripetal_shift, br_centripetal_shift: (N, 2, h, w) logarithms of the way to the centre.
            img_meta, k, kernel, distance_threshold, num_dets: see there.
        """
        maps = (tl_heat, br_heat), (tl_off, br_off)
        pairing = (tl_emb, br_emb), (tl_centripetal_shift, br_centripetal_shift)
        return decode_corners(*maps, *pairing, img_meta, k, kernel, distance_threshold, num_dets)


__all__ = ['BiCornerPool', 'CornerHead']
