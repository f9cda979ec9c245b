"""FSAF: each object learns on the level where its loss is least (https://arxiv.org/abs/1903.00621)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.rows import output_rows, rows_of_level, to_full_precision
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.losses.accuracy import accuracy
from mmdet.models.losses.utils import weight_reduce_loss

# Default of ``init_cfg``; the builder copies it. Distances start at one, as ReLU has no gradient below zero.
RARE_AND_POSITIVE = dict(
    type='Normal',
    layer='Conv2d',
    std=0.01,
    override=[
        dict(type='Normal', name='retina_cls', std=0.01, bias_prob=0.01),
        dict(type='Normal', name='retina_reg', std=0.01, bias=0.25),
    ],
)
MIN_DISTANCE = 1e-4  # of a side from the anchor, as the coder counts: boxes of no area have no gradient
NOT_HERE = 1e6  # loss of an object on a level where it has no anchor: greater than any other


@HEADS.register_module()
class FSAFHead(RetinaHead):
    """RetinaNet's towers over one anchor a cell; boxes are distances to the sides.

    The losses have no reduction (``reduction='none'``), as they are compared object by object.

    Args:
        args: as of :class:`RetinaHead`.
        score_threshold: kept for configs that give it; not used.
        init_cfg: initialisation of the weights; None: small normal values, low probabilities, positive distances.
        kwargs: as of :class:`RetinaHead`.
    """

    # read where heads with weights are made
    no_weight_per_image = (
        'its losses choose the level that an object is learnt on, and weights would change that choice'
    )

    def __init__(
        self,
        *args: Any,
        score_threshold: float | None = None,
        init_cfg: dict | list | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **dict(init_cfg=init_cfg or RARE_AND_POSITIVE, **kwargs))
        self.score_threshold = score_threshold

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores (N, A * C, H, W), distances (N, A * 4, H, W) >= 0."""
        cls_score, bbox_pred = super().forward_single(x)
        return cls_score, functional.relu(bbox_pred)

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
        """Targets of one image; arguments as of :meth:`AnchorHead._get_targets_single`.

        Returns:
            the seven items of ``AnchorHead``, of which the label weights are (R, label_channels): 0 for a class whose
            object surrounds the anchor but is not its own; and the index of the anchor's object (R,), or -1.
        """
        rows = self._rows_inside(flat_anchors, valid_flags, img_meta)
        anchors = flat_anchors[rows]
        assigned = self.assigner.assign(anchors, gt_bboxes, gt_bboxes_ignore, None if self.sampling else gt_labels)
        # samplers read the image's meta information
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
        count, rows = output_rows(rows, len(flat_anchors), unmap_outputs)
        labels, label_weights, bbox_targets, bbox_weights = self._fill_targets(count, rows, sampled, gt_labels)
        label_weights = label_weights[:, None].repeat(1, label_channels)
        shadowed = assigned.get_extra_property('shadowed_labels')
        if shadowed is not None:
            # around an object's middle an anchor is neither its positive nor evidence that there is none of its class
            label_weights[rows[shadowed[:, 0]], shadowed[:, 1]] = 0
        gt_inds = rows.new_full((count,), -1)
        gt_inds[rows[sampled.pos_inds]] = sampled.pos_assigned_gt_inds
        targets = (labels, label_weights, bbox_targets, bbox_weights)
        return (*targets, sampled.pos_inds, sampled.neg_inds, sampled, gt_inds)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Any]:
        """``loss_cls`` and ``loss_bbox``, one tensor a level; ``num_pos`` (an image) and ``pos_recall`` (per cent).

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None.
        """
        cls_scores = to_full_precision(cls_scores)
        bbox_preds = [level.clamp(min=MIN_DISTANCE) for level in to_full_precision(bbox_preds)]
        anchors, found = self.targets_of_maps(cls_scores, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        *targets, num_pos, num_neg, gt_inds = found
        losses = multi_apply(
            self.loss_single,
            cls_scores,
            bbox_preds,
            [torch.stack(level) for level in zip(*anchors)],
            *targets,
            num_total_samples=num_pos + num_neg if self.sampling else num_pos,
        )
        counts = torch.tensor([len(gts) for gts in gt_bboxes])
        first = (counts.cumsum(0) - counts).to(cls_scores[0].device)[
            :, None
        ]  # number of an image's first object in the batch
        gt_inds = [torch.where(level >= 0, level + first, -1).flatten() for level in gt_inds]
        labels = [level.flatten() for level in targets[0]]
        # what makes FSAF: the predictions themselves say which level learns an object
        levels = self._best_levels(losses[0], losses[1], gt_inds, int(counts.sum()))
        losses_cls, losses_bbox, positive = multi_apply(
            self.reweight_loss_single, *losses, gt_inds, labels, range(len(labels)), min_levels=levels
        )
        num_pos = torch.cat(positive).sum().to(cls_scores[0])
        # without a positive, all that is left is the loss of negatives, which their number brings to the size of others
        divisor = torch.where(num_pos > 0, num_pos, num_neg)
        return dict(
            loss_cls=[level / divisor for level in losses_cls],
            loss_bbox=[level / divisor for level in losses_bbox],
            num_pos=num_pos / len(img_metas),
            pos_recall=self.calculate_pos_recall(cls_scores, labels, positive),
        )

    @torch.no_grad()
    def _best_levels(
        self, losses_cls: list[Tensor], losses_bbox: list[Tensor], gt_inds: list[Tensor], num_gts: int
    ) -> Tensor:
        """(G,) the level of each object of the batch on which its mean loss is least."""
        numbers = torch.arange(num_gts, device=gt_inds[0].device)
        (by_level,) = multi_apply(self.collect_loss_level_single, losses_cls, losses_bbox, gt_inds, labels_seq=numbers)
        return torch.stack(by_level).min(dim=0).indices

    def calculate_pos_recall(
        self, cls_scores: Sequence[Tensor], labels_list: list[Tensor], pos_inds: list[Tensor]
    ) -> Tensor:
        """Per cent of the positives whose class has the greatest score; for watching the training.

        Args:
            cls_scores: L maps (N, A * K, H, W).
            labels_list: L times (N * H * W * A,).
            pos_inds: L times bool (N * H * W * A,).
        """
        flat = [rows_of_level(level.detach(), self.num_classes) for level in cls_scores]
        scores = torch.cat([level[pos] for level, pos in zip(flat, pos_inds)])
        return accuracy(scores, torch.cat([level.reshape(-1)[pos] for level, pos in zip(labels_list, pos_inds)]))

    def collect_loss_level_single(
        self, cls_loss: Tensor, reg_loss: Tensor, assigned_gt_inds: Tensor, labels_seq: Tensor
    ) -> tuple[Tensor]:
        """Mean loss of each object on one level.

        Args:
            cls_loss: (n,) or (n, C).
            reg_loss: (n,) or (n, 4).
            assigned_gt_inds: (n,) number of the anchor's object in the batch, or -1.
            labels_seq: (G,) numbers of the objects, 0 ... G - 1.

        Returns:
            a tuple of one tensor (G,), ``NOT_HERE`` for objects without an anchor.
        """
        loss = cls_loss.flatten(1).sum(1) if cls_loss.ndim > 1 else cls_loss
        loss = loss + (reg_loss.flatten(1).sum(1) if reg_loss.ndim > 1 else reg_loss)
        rows = (assigned_gt_inds >= 0).nonzero().squeeze(1)
        gts = assigned_gt_inds[rows]
        empty = loss.new_zeros(labels_seq.shape)
        sums, counts = empty.index_add(0, gts, loss[rows]), empty.index_add(0, gts, torch.ones_like(loss[rows]))
        # levels without an anchor of the object must not win with a loss of 0
        return (torch.where(counts > 0, sums / counts.clamp(min=1), NOT_HERE),)

    def reweight_loss_single(
        self,
        cls_loss: Tensor,
        reg_loss: Tensor,
        assigned_gt_inds: Tensor,
        labels: Tensor,
        level: int,
        min_levels: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of one level without the anchors of objects that learn on another one.

        Args:
            cls_loss: (n, C).
            reg_loss: (n,).
            assigned_gt_inds: (n,) number of the anchor's object in the batch, or -1.
            labels: (n,).
            level: number of this level.
            min_levels: (G,) level on which each object learns.

        Returns:
            sums of both losses; which anchors are positive after that, bool (n,).
        """
        rows = (assigned_gt_inds >= 0).nonzero().squeeze(1)
        others = rows[min_levels[assigned_gt_inds[rows]] != level]
        cls_weight, reg_weight = torch.ones_like(cls_loss), torch.ones_like(reg_loss)
        # they stay negatives of all other classes
        cls_weight.index_put_((others, labels[others]), cls_weight.new_zeros(()))
        reg_weight.index_fill_(0, others, 0)
        positive = (assigned_gt_inds >= 0).index_fill(0, others, False)
        return (
            weight_reduce_loss(cls_loss, cls_weight, reduction='sum'),
            weight_reduce_loss(reg_loss, reg_weight, reduction='sum'),
            positive,
        )
