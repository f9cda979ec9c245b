"""One stage of a cascade RPN: it refines anchors, and its features follow them (https://arxiv.org/abs/1909.06720)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv import ConfigDict
from torch import Tensor, nn

from mmdet.core.bbox.assigners.region_assigner import RegionAssigner
from mmdet.core.bbox.builder import build_assigner
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply, select_single_mlvl
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.guided.adaptive_conv import AdaptiveConv, anchor_offsets
from mmdet.models.dense_heads.functional.guided.guided_targets import LOCATIONS_PER_SAMPLE
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.dense_heads.functional.rows import (
    rows_of_images,
    rows_of_level,
    sample_counts,
    sizes_of_maps,
    to_full_precision,
)
from mmdet.models.dense_heads.rpn_head import RPNHead

# Default arguments; every builder copies them.
ONE_ANCHOR_A_CELL = dict(type='AnchorGenerator', scales=(8,), ratios=(1.0,), strides=(4, 8, 16, 32, 64))
DILATED = dict(type='dilation', dilation=3)


def small_predictors(with_cls: bool) -> dict:
    """Initialisation of a stage's predicting convolutions."""
    names = ['rpn_reg'] + ['rpn_cls'] * with_cls
    return dict(type='Normal', std=0.01, override=[dict(name=name) for name in names])


@HEADS.register_module()
class StageCascadeRPNHead(RPNHead):
    """One stage: box deltas, and perhaps scores, for anchors that are given to it.

    Args:
        in_channels: channels of the feature maps.
        anchor_generator: config of the prior generator; one anchor a cell.
        adapt_cfg: arguments of :class:`AdaptiveConv` that say how its features follow the anchors.
        bridged_feature: the next stage gets this one's features instead of its input.
        with_cls: predict scores.
        sampling: anchors are sampled and the sample's size is the losses' divisor; otherwise every anchor counts and
            200 of them make one.
        init_cfg: initialisation of the weights; None: small normal values.
        kwargs: other arguments of :class:`RPNHead`.
    """

    def __init__(
        self,
        in_channels: int,
        anchor_generator: dict = ONE_ANCHOR_A_CELL,
        adapt_cfg: dict = DILATED,
        bridged_feature: bool = False,
        with_cls: bool = True,
        sampling: bool = True,
        init_cfg: dict | list | None = None,
        **kwargs: Any,
    ) -> None:
        self.with_cls = with_cls
        self.anchor_strides = anchor_generator['strides']
        self.anchor_scales = anchor_generator['scales']
        self.bridged_feature = bridged_feature
        self.adapt_cfg = adapt_cfg
        self._takes_samples = sampling
        super().__init__(
            in_channels, anchor_generator=anchor_generator, init_cfg=init_cfg or small_predictors(with_cls), **kwargs
        )

    def _init_matching(self, loss_type: str) -> None:
        """Build assigner and sampler; the argument ``sampling`` decides, not the kind of the loss."""
        self.sampling = self._takes_samples
        if not self.train_cfg:
            return
        self.assigner = build_assigner(self.train_cfg.assigner)
        self.sampler = sampler_or_all(self, self.train_cfg.get('sampler') if self.sampling else None)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.rpn_conv = AdaptiveConv(self.in_channels, self.feat_channels, **self.adapt_cfg)
        if self.with_cls:
            self.rpn_cls = nn.Conv2d(self.feat_channels, self.num_base_priors * self.cls_out_channels, 1)
        self.rpn_reg = nn.Conv2d(self.feat_channels, self.num_base_priors * 4, 1)

    def forward_single(self, x: Tensor, offset: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """One level (N, in_channels, H, W) -> features for the next stage, scores (or None), box deltas."""
        features = self.relu(self.rpn_conv(x, offset))
        scores = self.rpn_cls(features) if self.with_cls else None
        return features if self.bridged_feature else x, scores, self.rpn_reg(features)

    def forward(
        self, feats: Sequence[Tensor], offset_list: Sequence[Tensor] | None = None
    ) -> tuple[list[Tensor], list[Tensor | None], list[Tensor]]:
        """L feature maps, and L times the offsets of :meth:`anchor_offset` -> L times :meth:`forward_single`."""
        return multi_apply(self.forward_single, feats, offset_list or [None] * len(feats))

    def _region_targets_single(
        self,
        anchors: list[Tensor],
        valid_flags: list[Tensor],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        featmap_sizes: Sequence[tuple[int, int]],
        label_channels: int = 1,
    ) -> tuple:
        """Targets of one image by the objects' central regions; see :meth:`AnchorHead._get_targets_single`.

        ``anchors`` and ``valid_flags`` are L tensors, as the regions need the levels.
        """
        assigned = self.assigner.assign(
            anchors,
            valid_flags,
            gt_bboxes,
            img_meta,
            featmap_sizes,
            self.anchor_scales[0],
            self.anchor_strides,
            gt_bboxes_ignore=gt_bboxes_ignore,
            gt_labels=None,
            allowed_border=self.train_cfg.allowed_border,
        )
        flat_anchors = torch.cat(anchors)
        # samplers read the image's meta information
        sampled = self.sampler.sample(assigned, flat_anchors, gt_bboxes, img_metas=img_meta)
        # regions are drawn over whole maps: no anchor is taken out before, and each has a row of its own
        rows = torch.arange(len(flat_anchors), device=flat_anchors.device)
        targets = self._fill_targets(len(rows), rows, sampled, gt_labels)
        return (*targets, sampled.pos_inds, sampled.neg_inds, sampled)

    def region_targets(
        self,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        featmap_sizes: Sequence[tuple[int, int]],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of a batch by the objects' central regions; arguments and result as of ``AnchorHead.get_targets``.

        ``unmap_outputs`` is not used: no anchor is taken out here.
        """
        num_imgs, level_sizes = len(img_metas), [len(anchors) for anchors in anchor_list[0]]
        *targets, pos_inds, neg_inds, sampled = multi_apply(
            self._region_targets_single,
            anchor_list,
            valid_flag_list,
            gt_bboxes_list,
            gt_bboxes_ignore_list or [None] * num_imgs,
            gt_labels_list or [None] * num_imgs,
            img_metas,
            featmap_sizes=featmap_sizes,
            label_channels=label_channels,
        )
        counts = sample_counts(pos_inds, neg_inds)
        boxes = [torch.cat(levels) for levels in anchor_list]
        return (*self.weigh_by_level(targets, boxes, gt_bboxes_list, img_metas, level_sizes, sampled), *counts)

    def get_targets(
        self,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        gt_bboxes: list[Tensor],
        img_metas: list[ImgMeta],
        featmap_sizes: Sequence[tuple[int, int]],
        gt_bboxes_ignore: list[Tensor] | None = None,
        label_channels: int = 1,
    ) -> tuple:
        """Targets of a batch, by level, in the way of this stage's assigner; result as of ``AnchorHead.get_targets``.

        A region assigner knows no ignored regions, and gets none.
        """
        if isinstance(self.assigner, RegionAssigner):
            return self.region_targets(
                anchor_list, valid_flag_list, gt_bboxes, img_metas, featmap_sizes, label_channels=label_channels
            )
        return super().get_targets(
            anchor_list,
            valid_flag_list,
            gt_bboxes,
            img_metas,
            gt_bboxes_ignore_list=gt_bboxes_ignore,
            label_channels=label_channels,
        )[:6]

    def anchor_offset(
        self,
        anchor_list: list[list[Tensor]],
        anchor_strides: Sequence[int],
        featmap_sizes: Sequence[tuple[int, int]],
    ) -> list[Tensor]:
        """Offsets of the adaptive convolution, L times (N, H * W, 18), from N times L times (H * W, 4) anchors."""
        by_level = (torch.stack(level) for level in zip(*anchor_list))
        return [anchor_offsets(*level) for level in zip(by_level, anchor_strides, featmap_sizes)]

    def loss_single(
        self,
        cls_score: Tensor | None,
        bbox_pred: Tensor,
        anchors: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        num_total_samples: float,
    ) -> tuple[Tensor | None, Tensor]:
        """Classification loss (None without scores) and box loss of one level; see ``AnchorHead.loss_single``."""
        targets = (anchors, labels, label_weights, bbox_targets, bbox_weights)
        if cls_score is not None:
            return super().loss_single(cls_score, bbox_pred, *targets, num_total_samples)
        anchors, bbox_targets, bbox_weights = (part.reshape(-1, 4) for part in (anchors, bbox_targets, bbox_weights))
        bbox_pred = rows_of_level(bbox_pred, 4)
        if self.reg_decoded_bbox:
            bbox_pred = self.bbox_coder.decode(anchors, bbox_pred)
        return None, self.loss_bbox(bbox_pred, bbox_targets, bbox_weights, avg_factor=num_total_samples)

    def loss(
        self,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        cls_scores: Sequence[Any],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_rpn_reg`` and, with scores, ``loss_rpn_cls``, one tensor a level each.

        Args:
            anchor_list: N times L times (H * W, 4).
            valid_flag_list: N times L times bool (H * W,).
            cls_scores: L maps (N, C, H, W), or None each.
            bbox_preds: L maps (N, 4, H, W).
            gt_bboxes: N times (G, 4).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None.
        """
        bbox_preds = to_full_precision(bbox_preds)
        scores: Sequence[Any] = to_full_precision(cls_scores) if self.with_cls else [None] * len(bbox_preds)
        sizes = sizes_of_maps(bbox_preds)
        *targets, num_pos, num_neg = self.get_targets(
            anchor_list, valid_flag_list, gt_bboxes, img_metas, sizes, gt_bboxes_ignore, self.cls_out_channels
        )
        if self.with_cls:
            scores, targets[1] = self.score_maps_for_loss(scores, targets[0], targets[1], img_metas)
        count = num_pos + num_neg if self.sampling else sum(level.numel() for level in targets[0])
        losses_cls, losses_reg = multi_apply(
            self.loss_single,
            scores,
            bbox_preds,
            [torch.stack(level) for level in zip(*anchor_list)],
            *targets,
            num_total_samples=count if self.sampling else count / LOCATIONS_PER_SAMPLE,
        )
        losses = dict(loss_rpn_cls=losses_cls) if self.with_cls else {}
        return losses | dict(loss_rpn_reg=losses_reg)

    def get_bboxes(
        self,
        anchor_list: list[list[Tensor]],
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        img_metas: list[ImgMeta],
        cfg: dict | None,
        rescale: bool = False,
    ) -> list[Tensor]:
        """Proposals of each image, (k, 5) with scores, best first; ``cfg`` as of :meth:`RPNHead._get_bboxes_single`."""
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        return [
            self._get_bboxes_single(
                select_single_mlvl(cls_scores, i),
                select_single_mlvl(bbox_preds, i),
                anchor_list[i],
                meta['img_shape'],
                meta.get('scale_factor'),
                cfg,
                rescale,
            )
            for i, meta in enumerate(img_metas)
        ]

    def _get_bboxes_single(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        mlvl_anchors: list[Tensor],
        img_shape: tuple[int, ...],
        scale_factor: Any,
        cfg: ConfigDict | None,
        rescale: bool = False,
    ) -> Tensor:
        """Proposals of one image (k, 5), in pixels of the network's input; see :meth:`RPNHead._get_bboxes_single`."""
        factors = [None] * len(cls_scores)
        return super()._get_bboxes_single(
            cls_scores, bbox_preds, factors, mlvl_anchors, dict(img_shape=img_shape), cfg, rescale
        )

    def refine_bboxes(
        self, anchor_list: list[list[Tensor]], bbox_preds: Sequence[Tensor], img_metas: list[ImgMeta]
    ) -> list[list[Tensor]]:
        """Anchors of the next stage: this one's, N times L times (H * W, 4), moved by its deltas, without gradient."""
        # the next stage's features are read at these anchors: its loss must not move them to where that is low
        deltas = [rows_of_images([level.detach()], 4) for level in to_full_precision(bbox_preds)]
        return [
            [
                self.bbox_coder.decode(anchors, level[i], max_shape=meta['img_shape'])
                for anchors, level in zip(anchor_list[i], deltas)
            ]
            for i, meta in enumerate(img_metas)
        ]
