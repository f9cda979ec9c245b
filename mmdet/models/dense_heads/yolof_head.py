"""YOLOF: one level, and as many anchors for each object, large or small (https://arxiv.org/abs/2103.09460)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import ConvModule, bias_init_with_prob, constant_init, is_norm, normal_init
from torch import Tensor, nn

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, matched_objects, objects_of_image, scatter_rows
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.functional.rows import sample_counts, to_full_precision
from mmdet.models.dense_heads.paa_head import levels_to_images

MAX_EXP = 1e8  # upper bound of exp() in the joint score; published weights expect it
RARE = 0.01  # probability of each class at the start
BATCH_NORM = dict(type='BN', requires_grad=True)  # default argument; every builder copies it


def joint_scores(cls_score: Tensor, objectness: Tensor) -> Tensor:
    """Logits of the product of both probabilities, of logits whose shapes broadcast."""
    return (
        cls_score
        + objectness
        - torch.log(1.0 + cls_score.exp().clamp(max=MAX_EXP) + objectness.exp().clamp(max=MAX_EXP))
    )


@HEADS.register_module()
class YOLOFHead(AnchorHead):
    """Class scores times an objectness that has no loss of its own, and boxes, on one level.

    The box loss compares what the assigner matches with each object, predictions that an object is near to as well as
    its anchors, whatever their labels. A negative is an anchor that the sampler takes as one.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature map, and inside the head.
        num_cls_convs: 3x3 convolutions before the class scores.
        num_reg_convs: 3x3 convolutions before boxes and objectness.
        norm_cfg: normalisation after each.
        kwargs: other arguments of :class:`AnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_cls_convs: int = 2,
        num_reg_convs: int = 4,
        norm_cfg: dict = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        self.num_cls_convs = num_cls_convs
        self.num_reg_convs = num_reg_convs
        self.norm_cfg = norm_cfg
        super().__init__(num_classes, in_channels, **kwargs)

    def _init_layers(self) -> None:
        width, anchors = self.in_channels, self.num_base_priors
        self.cls_subnet = self._subnet(self.num_cls_convs)
        self.bbox_subnet = self._subnet(self.num_reg_convs)
        self.cls_score = nn.Conv2d(width, anchors * self.num_classes, 3, padding=1)
        self.bbox_pred = nn.Conv2d(width, anchors * 4, 3, padding=1)
        self.object_pred = nn.Conv2d(width, anchors, 3, padding=1)

    def _subnet(self, count: int) -> nn.Sequential:
        width = self.in_channels
        return nn.Sequential(*(ConvModule(width, width, 3, padding=1, norm_cfg=self.norm_cfg) for _ in range(count)))

    def init_weights(self) -> None:
        """Small normal weights; classes start at a probability of 0.01."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                normal_init(layer, mean=0, std=0.01)
            elif is_norm(layer):
                constant_init(layer, 1)
        nn.init.constant_(cast(Tensor, self.cls_score.bias), bias_init_with_prob(RARE))

    def forward_single(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """The level (N, in_channels, H, W) -> joint scores (N, A * K, H, W), box deltas (N, A * 4, H, W)."""
        cls_score = self.cls_score(self.cls_subnet(feature))
        reg_feat = self.bbox_subnet(feature)
        objectness = self.object_pred(reg_feat)
        by_anchor = cls_score.unflatten(1, (self.num_base_priors, self.num_classes))
        return joint_scores(by_anchor, objectness[:, :, None]).flatten(1, 2), self.bbox_pred(reg_feat)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls`` and ``loss_bbox``.

        Args:
            cls_scores: one map (N, A * K, H, W).
            bbox_preds: one map (N, A * 4, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4) or None.

        Raises:
            ValueError: there is more than one level.
        """
        if len(cls_scores) != 1:
            raise ValueError(f'YOLOFHead works on one level, got {len(cls_scores)}')
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        anchors, flags = self.anchors_of_maps(cls_scores, img_metas)
        labels, label_weights, num_pos, num_neg, box_weights, boxes, gts = self.get_targets(
            levels_to_images(cls_scores),
            levels_to_images(bbox_preds),
            [levels[0] for levels in anchors],
            [levels[0] for levels in flags],
            gt_bboxes,
            img_metas,
            gt_bboxes_ignore,
            gt_labels,
        )
        total = num_pos + num_neg if self.sampling else num_pos
        total = reduce_mean(cls_scores[0].new_full((), float(total))).clamp(min=1)
        scores = torch.stack(levels_to_images(cls_scores)).view(*labels.shape, self.cls_out_channels)
        scores, label_weights = self.scores_for_loss(scores, labels, label_weights, img_metas)
        return dict(
            loss_cls=self.loss_cls(scores.flatten(0, 1), labels.flatten(), label_weights.flatten(), avg_factor=total),
            loss_bbox=self.loss_bbox(boxes, gts, box_weights, avg_factor=total),
        )

    def get_targets(
        self,
        cls_scores_list: list[Tensor],
        bbox_preds_list: list[Tensor],
        anchor_list: list[Tensor],
        valid_flag_list: list[Tensor],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of a batch, weighed as its images say.

        Args:
            cls_scores_list: N times (H * W, A * K); not used.
            bbox_preds_list: N times (H * W, A * 4).
            anchor_list: N times (R, 4).
            valid_flag_list: N times (R,), which anchors lie over the padded image.
            gt_bboxes_list: N times (G, 4).
            img_metas: meta information of the N images.
            gt_bboxes_ignore_list: N times (G', 4) or None.
            gt_labels_list: N times (G,) or None.
            label_channels: handed on.
            unmap_outputs: handed on.

        Returns:
            labels and label weights (N, R); the numbers of positives and of negatives (each image counts at least one
            of both); of the M matches of all images weights (M,), predicted boxes (M, 4) and their objects (M, 4).
        """
        nothing = [None] * len(img_metas)
        labels, weights, pos_inds, neg_inds, results, sampled = multi_apply(
            self._get_targets_single,
            bbox_preds_list,
            anchor_list,
            valid_flag_list,
            gt_bboxes_list,
            gt_bboxes_ignore_list or nothing,
            gt_labels_list or nothing,
            img_metas,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        labels, weights = torch.stack(labels), torch.stack(weights)
        # boxes are not learnt from these rows but from the matches below
        no_boxes = weights[..., None].expand(*weights.shape, 4)
        targets = self.weigh(
            Targets(labels, weights, no_boxes, no_boxes),
            img_metas,
            lambda i: greatest_overlaps(anchor_list[i], gt_bboxes_list[i]),
            objects=lambda: matched_objects(labels, self.num_classes, sampled),
        )
        counted, boxes, gts = (
            [result.get_extra_property(name) for result in results]
            for name in ('pos_idx', 'pos_predicted_boxes', 'target_boxes')
        )
        box_weights = torch.cat(counted).to(weights)
        # a match is told by its box: of objects with one box the first weighs
        objects = torch.cat(
            [objects_of_image(found, None, all_gts, None) for found, all_gts in zip(gts, gt_bboxes_list)]
        )
        of_rows = self.image_weights(img_metas, weights.device, [len(rows) for rows in counted], objects)
        if of_rows is not None:
            box_weights = box_weights * of_rows
        # at least one of each image, as an image without any still has a loss
        counts = sample_counts(pos_inds, neg_inds)
        return (labels, targets.label_weights, *counts, box_weights, torch.cat(boxes), torch.cat(gts))

    def _get_targets_single(
        self,
        bbox_preds: Tensor,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of one image; arguments as of :meth:`get_targets`.

        Returns:
            labels (R,) in [0, K], K for background; label weights (R,); indices of positives and of negatives; the
            assignment, with the matches; the sample.
        """
        inside = self._rows_inside(flat_anchors, valid_flags, img_meta)
        anchors, deltas = flat_anchors[inside], bbox_preds.reshape(-1, 4)[inside]
        assigned = self.assigner.assign(
            self.bbox_coder.decode(anchors, deltas),
            anchors,
            gt_bboxes,
            gt_bboxes_ignore,
            None if self.sampling else gt_labels,
        )
        # the sampler reads what the image says of its negatives
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
        pos, neg = sampled.pos_inds, sampled.neg_inds
        labels = gt_bboxes.new_full((len(anchors),), self.num_classes, dtype=torch.long)
        labels[pos] = 0 if gt_labels is None else gt_labels[sampled.pos_assigned_gt_inds]
        weights = anchors.new_zeros(len(anchors))
        weights[neg] = 1.0
        weights[pos] = self.train_cfg.pos_weight if self.train_cfg.pos_weight > 0 else 1.0
        if unmap_outputs:
            labels = scatter_rows(labels, len(flat_anchors), inside, self.num_classes)
            weights = scatter_rows(weights, len(flat_anchors), inside)
        return labels, weights, pos, neg, assigned, sampled
