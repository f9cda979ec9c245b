"""The general head over anchors; RPN, RetinaNet and their kin are made of it."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.anchor.builder import build_prior_generator
from mmdet.core.anchor.grid import join_flags, number_of
from mmdet.core.anchor.utils import anchor_inside_flags, images_to_levels
from mmdet.core.bbox.assigners.assign_result import rows_of
from mmdet.core.bbox.builder import build_assigner, build_bbox_coder
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, targets_of_sample
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.matching import sampler_for_loss
from mmdet.models.dense_heads.functional.old_names import old_name
from mmdet.models.dense_heads.functional.rows import (
    output_rows,
    rows_of_level,
    sample_counts,
    sizes_of_maps,
    to_full_precision,
)
from mmdet.models.dense_heads.functional.static_shapes import batch_targets
from mmdet.models.utils.settings import as_config

# Default arguments; every builder copies them.
ANCHORS = dict(type='AnchorGenerator', scales=(8, 16, 32), ratios=(0.5, 1.0, 2.0), strides=(4, 8, 16, 32, 64))
DELTA_CODER = dict(
    type='DeltaXYWHBBoxCoder', clip_border=True, target_means=(0.0, 0.0, 0.0, 0.0), target_stds=(1.0, 1.0, 1.0, 1.0)
)
CLASS_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
BOX_LOSS = dict(type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0)
SMALL_NORMAL = dict(type='Normal', layer='Conv2d', std=0.01)


@HEADS.register_module()
class AnchorHead(BaseDenseHead, BBoxTestMixin):
    """Class scores and box deltas for every anchor, by one 1x1 convolution each.

    Subclasses override ``_init_layers`` and ``forward_single`` for other layers, ``_get_targets_single`` for other
    targets of one image, ``loss_single`` for other losses of one level. The legend is in ``base_dense_head.py``.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        feat_channels: channels inside the head; for subclasses.
        anchor_generator: config of the prior generator.
        bbox_coder: config of the coder between boxes and deltas.
        reg_decoded_bbox: the box loss compares boxes in pixels instead of deltas, as losses of the IoU family need.
        loss_cls: config of the classification loss.
        loss_bbox: config of the box loss.
        train_cfg: keys ``assigner``, ``sampler`` (absent: every anchor counts), ``allowed_border`` (pixels that an
            anchor may reach over the image; negative: any), ``pos_weight`` (of positives; <= 0 means 1).
        test_cfg: see :meth:`BaseDenseHead.get_bboxes`.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: no score channel is left with this ``num_classes``.
    """

    has_static_shapes = True
    static_shapes = False  # whether targets are made in static shapes; set by mmdet.models.options.static_shapes

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        anchor_generator: dict = ANCHORS,
        bbox_coder: dict = DELTA_CODER,
        reg_decoded_bbox: bool = False,
        loss_cls: dict = CLASS_LOSS,
        loss_bbox: dict = BOX_LOSS,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = SMALL_NORMAL,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.use_sigmoid_cls = loss_cls.get('use_sigmoid', False)
        self.cls_out_channels = num_classes if self.use_sigmoid_cls else num_classes + 1
        if self.cls_out_channels <= 0:
            raise ValueError(f'num_classes: expected at least 1, got {num_classes}')
        self.reg_decoded_bbox = reg_decoded_bbox
        self.bbox_coder = build_bbox_coder(bbox_coder)
        self.loss_cls = build_loss(loss_cls)
        self.loss_bbox = build_loss(loss_bbox)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self.prior_generator = build_prior_generator(anchor_generator)
        # All levels have the same number of anchors a cell; heads for which this does not hold have their own layers.
        self.num_base_priors = self.prior_generator.num_base_priors[0]
        self._init_matching(loss_cls['type'])
        self._init_layers()

    def _init_matching(self, loss_type: str) -> None:
        """Build assigner and sampler; ``self.sampling`` says whether anchors are sampled or all count."""
        self.sampling = False
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler, self.sampling = sampler_for_loss(self, self.train_cfg.get('sampler'), loss_type)

    num_anchors = old_name('num_anchors', 'num_base_priors')
    anchor_generator = old_name('anchor_generator', 'prior_generator')

    def _init_layers(self) -> None:
        self.conv_cls = nn.Conv2d(self.in_channels, self.num_base_priors * self.cls_out_channels, 1)
        self.conv_reg = nn.Conv2d(self.in_channels, self.num_base_priors * 4, 1)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores (N, A * C, H, W), box deltas (N, A * 4, H, W)."""
        return self.conv_cls(x), self.conv_reg(x)

    def get_anchors(
        self, featmap_sizes: Sequence[tuple[int, int]], img_metas: list[ImgMeta], device: str | torch.device = 'cuda'
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Anchors of each image and which of them lie over its padded area.

        Args:
            featmap_sizes: (H, W) of each level.
            img_metas: meta information of the N images; ``pad_shape`` is read.
            device: where the tensors are made.

        Returns:
            N times L times (H * W * A, 4), the N lists being one object; N times L times bool (H * W * A,).
        """
        anchors = self.prior_generator.grid_priors(featmap_sizes, device=device)
        flags = [self.prior_generator.valid_flags(featmap_sizes, meta['pad_shape'], device) for meta in img_metas]
        return [anchors] * len(img_metas), flags

    def anchors_of_maps(self, maps: Sequence[Tensor], img_metas: list[ImgMeta]) -> Any:
        """:meth:`get_anchors` of the cells of L maps (N, ..., H, W)."""
        return self.get_anchors(sizes_of_maps(maps), img_metas, device=maps[0].device)

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of one image.

        Args:
            flat_anchors: (R, 4), all levels.
            valid_flags: (R,), which anchors lie over the padded image.
            gt_bboxes: (G, 4).
            gt_bboxes_ignore: (G', 4) or None.
            gt_labels: (G,), or None: all objects are of class 0.
            img_meta: meta information of the image.
            label_channels: for subclasses.
            unmap_outputs: give a row for each of the R anchors, otherwise for the R' that ``allowed_border`` leaves.

        Returns:
            labels (R,) in [0, K], K for background; label_weights (R,), 0 where an anchor was not sampled;
            bbox_targets (R, 4) and bbox_weights (R, 4), 0 but for positives; indices of positives and of negatives
            among the R' anchors; the sampling result.
        """
        inside = self._rows_inside(flat_anchors, valid_flags, img_meta)
        anchors = flat_anchors if len(inside) == len(flat_anchors) else flat_anchors[inside]
        # Without sampling the assigner hands on the labels, as some losses read them from its result.
        assigned = self.assigner.assign(anchors, gt_bboxes, gt_bboxes_ignore, None if self.sampling else gt_labels)
        # samplers read the image's meta information
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
        targets = self._fill_targets(*output_rows(inside, len(flat_anchors), unmap_outputs), sampled, gt_labels)
        return (*targets, sampled.pos_inds, sampled.neg_inds, sampled)

    def _rows_inside(self, flat_anchors: Tensor, valid_flags: Tensor, img_meta: ImgMeta) -> Tensor:
        """(R',) rows of the valid anchors that ``allowed_border`` leaves; a warning where there is none."""
        border = self.train_cfg.allowed_border
        inside = anchor_inside_flags(flat_anchors, valid_flags, img_meta['img_shape'][:2], border)
        number = number_of(valid_flags) if border < 0 else None
        (inside,) = rows_of([inside], None if number is None else [number])
        if not len(inside):
            warnings.warn(
                f'no anchor lies inside the image {img_meta.get("filename", "")} of shape {img_meta["img_shape"]}: it '
                f'teaches this head nothing. Check the anchor sizes, the image size and allowed_border={border}',
                UserWarning,
                stacklevel=2,
            )
        return inside

    def _fill_targets(self, count: int, rows: Tensor, sampled: Any, gt_labels: Tensor | None) -> Targets:
        """Write the sampled anchors' targets into ``count`` rows; ``rows`` (R',) says where each anchor's row is."""
        boxes, gts = sampled.pos_bboxes, sampled.pos_gt_bboxes
        values = gts if self.reg_decoded_bbox else self.bbox_coder.encode(boxes, gts)
        pos_weight = self.train_cfg.get('pos_weight', -1)
        return targets_of_sample(count, rows, sampled, gt_labels, values, self.num_classes, pos_weight)

    def get_targets(
        self,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int = 1,
        unmap_outputs: bool = True,
        return_sampling_results: bool = False,
    ) -> tuple:
        """Targets of a batch, by level.

        Args:
            anchor_list: N times L times (H * W * A, 4).
            valid_flag_list: N times L times (H * W * A,).
            gt_bboxes_list: N times (G, 4).
            img_metas: meta information of the N images.
            gt_bboxes_ignore_list: N times (G', 4), or None.
            gt_labels_list: N times (G,), or None for a head without classes.
            label_channels, unmap_outputs: handed on.
            return_sampling_results: give the N sampling results, too.

        Returns:
            labels, label weights (L times (N, H * W * A)), box targets, box weights (L times (N, H * W * A, 4)), the
            numbers of positives and of negatives in the batch (each image counts at least one of both), the sampling
            results if asked for, and what an overridden ``_get_targets_single`` gives beyond its seven items, by
            level.
        """
        if self.static_shapes and not return_sampling_results:
            return batch_targets(
                self, anchor_list, valid_flag_list, gt_bboxes_list, img_metas, gt_bboxes_ignore_list, gt_labels_list
            )
        num_imgs, level_sizes = len(img_metas), [len(anchors) for anchors in anchor_list[0]]
        flat_anchors = [torch.cat(anchors) for anchors in anchor_list]
        results = multi_apply(
            self._get_targets_single,
            flat_anchors,
            [join_flags(flags) for flags in valid_flag_list],
            gt_bboxes_list,
            gt_bboxes_ignore_list or [None] * num_imgs,
            gt_labels_list or [None] * num_imgs,
            img_metas,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        targets, (pos_inds, neg_inds, sampling_results), extra = results[:4], results[4:7], results[7:]
        by_level = self.weigh_by_level(targets, flat_anchors, gt_bboxes_list, img_metas, level_sizes, sampling_results)
        counts = sample_counts(pos_inds, neg_inds)
        sampling = (sampling_results,) if return_sampling_results else ()
        return (*by_level, *counts, *sampling, *(images_to_levels(item, level_sizes) for item in extra))

    def targets_of_maps(
        self,
        maps: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None,
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None,
        **options: Any,
    ) -> tuple[list[list[Tensor]], tuple]:
        """Anchors of the cells of L maps (N, ..., H, W), and what :meth:`get_targets` gives for them.

        The anchors are N times L times (H * W * A, 4); the other arguments are as of :meth:`loss`, ``options`` as of
        :meth:`get_targets`.
        """
        anchors, flags = self.anchors_of_maps(maps, img_metas)
        options.setdefault('label_channels', self.cls_out_channels if self.use_sigmoid_cls else 1)
        options |= dict(gt_bboxes_ignore_list=gt_bboxes_ignore, gt_labels_list=gt_labels)
        return anchors, self.get_targets(anchors, flags, gt_bboxes, img_metas, **options)

    def loss_single(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        anchors: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        num_total_samples: float,
    ) -> tuple[Tensor, Tensor]:
        """Classification and box loss of one level.

        Args:
            cls_score: (N, A * C, H, W).
            bbox_pred: (N, A * 4, H, W).
            anchors: (N, H * W * A, 4).
            labels, label_weights: (N, H * W * A).
            bbox_targets, bbox_weights: (N, H * W * A, 4).
            num_total_samples: what the sums over all levels are divided by.
        """
        cls_score = rows_of_level(cls_score, self.cls_out_channels)
        bbox_pred = rows_of_level(bbox_pred, 4)
        loss_cls = self.loss_cls(cls_score, labels.reshape(-1), label_weights.reshape(-1), avg_factor=num_total_samples)
        if self.reg_decoded_bbox:
            bbox_pred = self.bbox_coder.decode(anchors.reshape(-1, 4), bbox_pred)
        loss_bbox = self.loss_bbox(
            bbox_pred, bbox_targets.reshape(-1, 4), bbox_weights.reshape(-1, 4), avg_factor=num_total_samples
        )
        return loss_cls, loss_bbox

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None,
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls`` and ``loss_bbox``, one tensor a level each.

        Their divisor is the number of sampled anchors in the batch, or of positives where anchors are not sampled.
        It does not depend on the images' weights, so the losses are linear in them.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,), or None: all objects are of class 0.
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None.

        Raises:
            ValueError: there are not as many maps as the anchor generator has levels.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        if len(cls_scores) != self.prior_generator.num_levels:
            raise ValueError(
                f'{type(self).__name__} got {len(cls_scores)} feature maps, but its anchor generator has '
                f'{self.prior_generator.num_levels} levels (strides)'
            )
        anchors, targets = self.targets_of_maps(cls_scores, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        # Items beyond the sixth are a subclass's, for a loss of its own.
        labels, label_weights, bbox_targets, bbox_weights, num_pos, num_neg = targets[:6]
        cls_scores, label_weights = self.score_maps_for_loss(cls_scores, labels, label_weights, img_metas)
        rows = [torch.stack(level) for level in zip(*anchors)], labels, label_weights, bbox_targets, bbox_weights
        num_samples = num_pos + num_neg if self.sampling else num_pos
        losses_cls, losses_bbox = multi_apply(
            self.loss_single, cls_scores, bbox_preds, *rows, num_total_samples=num_samples
        )
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox)
