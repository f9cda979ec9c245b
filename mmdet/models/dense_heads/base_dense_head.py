"""What all dense heads share: the way through training and testing, and from maps to boxes.

Legend of the dense heads: N images, L levels, (H, W) cells of a level, A anchors a cell, K classes, C score channels
(K with sigmoid, K + 1 with softmax), R = sum of H * W * A anchors of an image. Boxes are (x1, y1, x2, y2) in pixels
of the network's input.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv import ConfigDict
from mmcv.cnn import constant_init
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, matched_objects
from mmdet.core.utils.misc import filter_scores_and_topk, multi_apply, select_single_mlvl
from mmdet.models.base_head import BaseHead
from mmdet.models.dense_heads.functional.rows import flatten_map, rows_of_images, sizes_of_maps, to_full_precision
from mmdet.models.utils.export import detection_limit, stack_detections, without_suppression
from mmdet.models.utils.settings import as_config
from mmdet.ops import batched_nms
from mmdet.utils.running.device_copy import tensor_like


class BaseDenseHead(BaseHead, metaclass=ABCMeta):
    """Base of the heads that predict at every cell of their feature maps.

    A subclass gives ``forward`` or ``forward_single``, ``loss`` and, for :meth:`get_bboxes`, the attributes
    ``prior_generator``, ``bbox_coder``, ``cls_out_channels``, ``use_sigmoid_cls``, ``loss_cls`` and ``test_cfg``.

    Attributes:
        last_objectness: class scores before the sigmoid of the last training pass that also made proposals, L
            detached maps (N, A * C, H, W); None before. They stay in memory until the next pass.
        reg_width: channels that say an anchor's box.

    Args:
        init_cfg: initialisation of the weights, as mmcv's ``BaseModule`` takes it.
    """

    reg_width = 4

    def __init__(self, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.last_objectness: list[Tensor] | None = None

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, except that the offsets of deformable convolutions start at zero."""
        super().init_weights()
        for module in self.modules():
            if hasattr(module, 'conv_offset'):
                constant_init(module.conv_offset, 0)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Any], ...]:
        """L feature maps -> L maps of each of the kinds that a subclass's ``forward_single`` makes of one."""
        return multi_apply(self.forward_single, feats)

    @abstractmethod
    def loss(self, **kwargs: Any) -> dict:
        """Losses by name, each a tensor or a list of tensors (one a level)."""

    def weigh_by_level(
        self,
        targets: Sequence[Sequence[Tensor]],
        boxes: Sequence[Tensor],
        gt_bboxes: Sequence[Tensor],
        img_metas: list[ImgMeta],
        level_sizes: Sequence[int],
        sampled: Sequence[Any] | None = None,
    ) -> list[list[Tensor]]:
        """Targets of a batch, weighed as its images say, L times (N, H * W * A, ...) for each of the four parts.

        Args:
            targets: the parts of :class:`Targets`, each N times (R, ...).
            boxes: N times (R, 4), the rows' boxes, which policies of negatives compare with the objects.
            gt_bboxes: N times (G, 4).
            img_metas: meta information of the N images.
            level_sizes: rows of each level, R in all.
            sampled: the sampling results of the N images, which know the objects of the positives; None: nobody
                knows, so that weights of single objects are refused.
        """
        batch = Targets(*(torch.stack(list(part)) for part in targets))
        weighed = self.weigh(
            batch,
            img_metas,
            lambda i: greatest_overlaps(boxes[i], gt_bboxes[i]),
            objects=(lambda: matched_objects(batch.labels, self.num_classes, sampled)) if sampled else None,
        )
        return [list(part.split(list(level_sizes), dim=1)) for part in weighed]

    def score_maps_for_loss(
        self,
        cls_scores: Sequence[Tensor],
        labels: Sequence[Tensor],
        label_weights: Sequence[Tensor],
        img_metas: list[ImgMeta],
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """As :meth:`scores_for_loss`, of L maps (N, A * C, H, W) with L times labels and weights (N, H * W * A)."""
        if not self.masks_scores(img_metas, cls_scores[0].device):
            return cls_scores, label_weights  # rearranging the maps would copy them
        flat = [rows_of_images([m], self.cls_out_channels) for m in cls_scores]
        rows = [self.scores_for_loss(*level, img_metas) for level in zip(flat, labels, label_weights)]
        maps = [scores.view(len(m), *m.shape[-2:], -1).permute(0, 3, 1, 2) for m, (scores, _) in zip(cls_scores, rows)]
        return maps, [weights for _, weights in rows]

    def forward_train(
        self,
        x: Sequence[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        proposal_cfg: dict | None = None,
        **kwargs: Any,
    ) -> dict | tuple[dict, list]:
        """Losses of a batch and, if asked for, its proposals.

        Args:
            x: L feature maps (N, channels, H, W).
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,); None for a head without classes.
            gt_bboxes_ignore: N times (G', 4) regions in which nothing is learnt.
            proposal_cfg: how to make proposals (the keys of ``test_cfg``); None: make none.
            kwargs: other keys of the batch; not used here.

        Returns:
            losses, or (losses, proposals) with a ``proposal_cfg``.
        """
        outs = self(x)
        targets = (gt_bboxes, img_metas) if gt_labels is None else (gt_bboxes, gt_labels, img_metas)
        losses = self.loss(*outs, *targets, gt_bboxes_ignore=gt_bboxes_ignore)
        if proposal_cfg is None:
            return losses
        self.last_objectness = [scores.detach() for scores in outs[0]]
        return losses, self._training_proposals(outs, img_metas, proposal_cfg)

    def _training_proposals(self, outs: Any, img_metas: list[ImgMeta], cfg: dict) -> list:
        """What :meth:`forward_train` gives the second stage, from what ``forward`` gave."""
        of_images: dict[str, Any] = dict(img_metas=img_metas, cfg=cfg)
        return self.get_bboxes(*outs, **of_images)

    def simple_test(
        self, feats: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of each image without augmentation: boxes with scores (k, 5), labels (k,)."""
        return self.simple_test_bboxes(feats, img_metas, rescale=rescale)

    def get_bboxes(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        score_factors: Sequence[Tensor] | None = None,
        img_metas: list[ImgMeta] | None = None,
        cfg: dict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
        **kwargs: Any,
    ) -> list:
        """Maps to boxes, image by image.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            score_factors: L maps (N, A, H, W) that multiply the scores after a sigmoid, such as centreness.
            img_metas: meta information of the N images; ``img_shape`` bounds the boxes.
            cfg: keys ``nms_pre`` (a level), ``score_thr``, ``nms``, ``max_per_img``; None: ``test_cfg``.
            rescale: give boxes in pixels of the original image.
            with_nms: False gives what would enter the suppression.
            kwargs: handed on to ``_get_bboxes_single``.

        Returns:
            for each image (boxes with scores (k, 5), labels (k,)); without suppression boxes (n, 4), scores (n,),
            labels (n,).

        Raises:
            ValueError: the maps do not have the same number of levels.
        """
        if len(cls_scores) != len(bbox_preds):
            raise ValueError(f'{len(cls_scores)} levels of class scores, but {len(bbox_preds)} of box predictions')
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        no_factors: list[Tensor | None] = [None] * len(cls_scores)
        factors = [] if score_factors is None else to_full_precision(score_factors)
        priors = self.prior_generator.grid_priors(
            sizes_of_maps(cls_scores), dtype=cls_scores[0].dtype, device=cls_scores[0].device
        )
        return [
            self._get_bboxes_single(
                select_single_mlvl(cls_scores, i),
                select_single_mlvl(bbox_preds, i),
                list(select_single_mlvl(factors, i)) if factors else no_factors,
                priors,
                img_meta,
                cfg,
                rescale,
                with_nms,
                **kwargs,
            )
            for i, img_meta in enumerate(cast(list[ImgMeta], img_metas))
        ]

    def _get_bboxes_single(
        self,
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        score_factor_list: list[Tensor | None],
        mlvl_priors: list[Tensor],
        img_meta: ImgMeta,
        cfg: dict | None,
        rescale: bool = False,
        with_nms: bool = True,
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """Boxes of one image, from its maps of each level; see :meth:`get_bboxes`."""
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        with_factors = score_factor_list[0] is not None
        scores, labels, bboxes, factors = [], [], [], []
        for level, parts in enumerate(zip(cls_score_list, bbox_pred_list, score_factor_list, mlvl_priors)):
            level_scores, level_labels, kept = self._best_of_level(*parts, cfg)
            scores.append(level_scores)
            labels.append(level_labels)
            bboxes.append(self._boxes_of_level(level, kept['priors'], kept['deltas'], img_meta['img_shape']))
            if with_factors:
                factors.append(kept['factors'])
        return self._bbox_post_process(
            scores,
            labels,
            bboxes,
            img_meta.get('scale_factor'),
            cfg,
            rescale,
            with_nms,
            factors if with_factors else None,
            **kwargs,
        )

    def _best_of_level(
        self, cls_score: Tensor, bbox_pred: Tensor, score_factor: Tensor | None, priors: Tensor, cfg: ConfigDict
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The ``nms_pre`` best (anchor, class) pairs of one level: scores (k,), labels (k,), rows of their anchors."""
        scores = self._class_scores(flatten_map(cls_score, self.cls_out_channels))
        rows = dict(deltas=flatten_map(bbox_pred, self.reg_width), priors=priors)
        if score_factor is not None:
            rows['factors'] = flatten_map(score_factor, 1).squeeze(1).sigmoid()
        limit = cfg.get('nms_pre', -1)
        scores, labels, _, kept = filter_scores_and_topk(
            scores, cfg.get('score_thr', 0), limit if limit > 0 else scores.numel(), rows
        )
        return scores, labels, cast(dict[str, Tensor], kept)

    def _boxes_of_level(self, level: int, priors: Tensor, deltas: Tensor, max_shape: tuple[int, ...]) -> Tensor:
        """Predictions (k, ``reg_width``) at priors (k, ...) of a level -> boxes (k, 4) inside ``max_shape`` (h, w)."""
        return self.bbox_coder.decode(priors, deltas, max_shape=max_shape)

    def _class_scores(self, logits: Tensor) -> Tensor:
        """(n, C) class maps -> (n, K) scores in [0, 1]."""
        if getattr(self.loss_cls, 'custom_cls_channels', False):
            return self.loss_cls.get_activation(logits)
        return logits.sigmoid() if self.use_sigmoid_cls else logits.softmax(-1)[:, :-1]

    def _bbox_post_process(
        self,
        mlvl_scores: list[Tensor],
        mlvl_labels: list[Tensor],
        mlvl_bboxes: list[Tensor],
        scale_factor: Any,
        cfg: ConfigDict,
        rescale: bool = False,
        with_nms: bool = True,
        mlvl_score_factors: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """Join the levels of one image, rescale, suppress.

        Args:
            mlvl_scores: L times (k,).
            mlvl_labels: L times (k,).
            mlvl_bboxes: L times (k, 4).
            scale_factor: network input / original image, for x1, y1, x2, y2 (four numbers).
            cfg: keys ``nms`` and ``max_per_img``.
            rescale: divide the boxes by ``scale_factor``.
            with_nms: False gives (boxes (n, 4), scores (n,), labels (n,)).
            mlvl_score_factors: L times (k,), multiplied into the scores.

        Returns:
            the best ``max_per_img`` boxes with scores (k, 5), best first, and labels (k,).
        """
        bboxes, scores, labels = torch.cat(mlvl_bboxes), torch.cat(mlvl_scores), torch.cat(mlvl_labels)
        if rescale:
            bboxes = bboxes / tensor_like(scale_factor, bboxes)
        if mlvl_score_factors is not None:
            scores = scores * torch.cat(mlvl_score_factors)
        if not with_nms:
            return bboxes, scores, labels
        dets, keep = batched_nms(bboxes, scores, labels, cfg.nms)
        return dets[: cfg.max_per_img], labels[keep][: cfg.max_per_img]

    def onnx_export(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        score_factors: Sequence[Tensor] | None = None,
        img_metas: list[ImgMeta] | None = None,
        with_nms: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """:meth:`get_bboxes` with results of one shape; see :meth:`_stacked_bboxes`."""
        maps = (cls_scores, bbox_preds) if score_factors is None else (cls_scores, bbox_preds, score_factors)
        return self._stacked_bboxes(maps, img_metas, with_nms)

    def _stacked_bboxes(
        self, outs: Sequence[Any], img_metas: list[ImgMeta] | None, with_nms: bool
    ) -> tuple[Tensor, Tensor]:
        """What ``forward`` gave -> boxes with scores (N, k, 5), labels (N, k), -1 in rows that only fill up.

        With ``with_nms=False`` these are the best candidates of the suppression.
        """
        cfg = as_config(self.test_cfg)
        cfg = cfg if with_nms else without_suppression(cfg)
        of_images: dict[str, Any] = dict(img_metas=img_metas, cfg=cfg)
        return stack_detections(self.get_bboxes(*outs, **of_images), detection_limit(cfg))
