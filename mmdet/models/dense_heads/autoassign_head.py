"""AutoAssign: which points are positives, and how far, is learnt (https://arxiv.org/abs/2007.03496).

Legend: see ``mmdet/core/legend.md``; a row is a point.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import bias_init_with_prob, normal_init
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.anchor.point_generator import MlvlPointGenerator
from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead, inside_objects
from mmdet.models.dense_heads.fcos_head import FCOSHead, points_to_boxes
from mmdet.models.dense_heads.functional.corners.heatmaps import probability_weights
from mmdet.models.dense_heads.functional.rows import rows_of_images, sizes_of_maps, to_full_precision
from mmdet.ops.probability_loss import probability_cross_entropy

EPS = 1e-12  # least divisor
CONFIDENCE_POWER = 3  # how much more confident points count among those of an object
FIRST_PROBABILITY, FIRST_DISTANCE = 0.02, 4.0  # of each class, and to the sides in strides, at the start


def positive_loss(p_pos: Tensor, prior: Tensor) -> Tensor:
    """Sum over objects of -log of the mean probability of their points, which confidence and prior weigh.

    Args:
        p_pos: (R, G) probability of class and place.
        prior: (R, G) how likely a point is a positive of an object, by its place alone.
    """
    # w+ of the paper: exp(P+ / tau) with tau = 1/3, so that points which fit already lead the others
    weights = (p_pos * CONFIDENCE_POWER).exp() * prior
    weights = weights / weights.sum(dim=0, keepdim=True).clamp(min=EPS)
    mean = (p_pos * weights).sum(dim=0)
    return probability_cross_entropy(mean, torch.ones_like(mean)).sum()


def negative_weights(ious: Tensor, gt_labels: Tensor, inside: Tensor, num_classes: int) -> Tensor:
    """(R, K) how far each point is a negative of each class: 1 but for points in objects of the class.

    There, the better the overlap of the point's box, the less; of several objects of the class the last one counts.

    Args:
        ious: (R, G) of the predicted boxes.
        gt_labels: (G,).
        inside: (R, G) bool.
        num_classes: K.
    """
    if not len(gt_labels):
        return ious.new_ones(len(ious), num_classes)
    # 1 / (1 - IoU) tells good boxes apart, which IoU hardly does: 0.9 counts twice what 0.8 does
    quality = 1 / (1 - ious).clamp(min=EPS)
    low = quality.masked_fill(~inside, torch.inf).amin(dim=0)
    high = quality.masked_fill(~inside, -torch.inf).amax(dim=0)
    # EPS above as well as below: of a single point in an object low = high, and 0 / 0 has to be 1
    normalised = torch.where(inside, (quality - low + EPS) / (high - low + EPS), 0.0)
    order = torch.where(inside, torch.arange(1, len(gt_labels) + 1, device=ious.device), 0)
    last = order.new_zeros(len(ious), num_classes).scatter_reduce(1, gt_labels.expand_as(order), order, 'amax')
    return 1 - functional.pad(normalised, (1, 0)).gather(1, last)  # column 0 is that of points outside


def negative_loss(joint: Tensor, weights: Tensor) -> Tensor:
    """(R, K) focal losses of joint probabilities (R, K), lowered by ``weights`` (R, K), against 0."""
    lowered = joint * weights
    return lowered**2 * probability_cross_entropy(lowered, torch.zeros_like(lowered))


def centre_loss(prior: Tensor) -> Tensor:
    """Number of objects over the sum of their priors (R, G); 0 where no point lies in an object."""
    total = prior.sum()
    # priors that shrink to nothing leave an object without positives, and its loss of positives with them
    return torch.where(total > 0, prior.size(1) / total.clamp(min=EPS), total)


class CenterPrior(nn.Module):
    """Where in objects of each class the positives lie: a Gaussian around the centre, of learnt shift and width.

    Args:
        force_topk: the best points of an object in which no point lies count as inside it.
        topk: how many.
        num_classes: K.
        strides: pixels of a cell of each level.
    """

    def __init__(
        self,
        force_topk: bool = False,
        topk: int = 9,
        num_classes: int = 80,
        strides: Sequence[int] = (8, 16, 32, 64, 128),
    ) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(num_classes, 2))
        self.sigma = nn.Parameter(torch.ones(num_classes, 2))
        self.strides = strides
        self.force_topk = force_topk
        self.topk = topk

    def forward(
        self, anchor_points_list: Sequence[Tensor], gt_bboxes: Tensor, labels: Tensor, inside_gt_bbox_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Priors of one image.

        Args:
            anchor_points_list: L times (H * W, 2).
            gt_bboxes: (G, 4).
            labels: (G,).
            inside_gt_bbox_mask: (R, G) bool.

        Returns:
            (R, G), 0 outside the objects; the mask, with the forced points.
        """
        points = torch.cat(list(anchor_points_list))
        strides = torch.cat([p.new_full((len(p),), s) for p, s in zip(anchor_points_list, self.strides)])
        centres = (gt_bboxes[:, :2] + gt_bboxes[:, 2:]) / 2
        ways = (points[:, None] - centres) / strides[:, None, None] - self.mean[labels]  # (R, G, 2)
        prior = torch.exp(-(ways**2) / (2 * self.sigma[labels] ** 2)).prod(dim=-1)
        inside = inside_gt_bbox_mask
        if self.force_topk and len(labels):
            best = prior.topk(min(self.topk, len(points)), dim=0).indices
            forced = torch.zeros_like(inside).scatter(0, best, True) & ~inside.any(dim=0)
            inside = inside | forced
        return torch.where(inside, prior, 0.0), inside


@HEADS.register_module()
class AutoAssignHead(FCOSHead):
    """Class scores, distances to the sides, and an objectness that multiplies the scores.

    All points in an object are positives of it, weighed by confidence, by the overlap of their boxes and by the
    learnt :class:`CenterPrior`, and negatives as far as their boxes do not fit; points outside all objects are
    negatives alone. Negative policies are about these latter; what a point inside an object says in the negative loss
    goes with its image's weight, and the assignment is the same for any weight. To the policy that looks at overlaps,
    points outside objects overlap by 0.

    Args:
        args: arguments of :class:`FCOSHead`.
        force_topk: see :class:`CenterPrior`.
        topk: see :class:`CenterPrior`.
        pos_loss_weight: factor of the loss of positives.
        neg_loss_weight: factor of the loss of negatives.
        center_loss_weight: factor of the loss that keeps the priors wide.
        kwargs: arguments of :class:`FCOSHead`.
    """

    def __init__(
        self,
        *args: Any,
        force_topk: bool = False,
        topk: int = 9,
        pos_loss_weight: float = 0.25,
        neg_loss_weight: float = 0.75,
        center_loss_weight: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, conv_bias=True, **kwargs)
        self.center_prior = CenterPrior(force_topk, topk, self.num_classes, self.strides)
        self.pos_loss_weight = pos_loss_weight
        self.neg_loss_weight = neg_loss_weight
        self.center_loss_weight = center_loss_weight
        self.prior_generator = MlvlPointGenerator(self.strides, offset=0)

    def init_weights(self) -> None:
        """As :class:`FCOSHead`; classes start at a probability of 0.02, sides 4 strides away."""
        super().init_weights()
        normal_init(self.conv_cls, std=0.01, bias=bias_init_with_prob(FIRST_PROBABILITY))
        normal_init(self.conv_reg, std=0.01, bias=FIRST_DISTANCE)

    def forward_single(self, x: Tensor, scale: nn.Module, stride: int) -> tuple[Tensor, Tensor, Tensor]:
        """One level -> class scores (N, K, H, W), distances (N, 4, H, W) in pixels, objectness (N, 1, H, W)."""
        cls_score, bbox_pred, _, reg_feat = AnchorFreeHead.forward_single(self, x)
        return cls_score, scale(bbox_pred).float().clamp(min=0) * stride, self.conv_centerness(reg_feat)

    def get_pos_loss_single(
        self, cls_score: Tensor, objectness: Tensor, reg_loss: Tensor, gt_labels: Tensor, center_prior_weights: Tensor
    ) -> tuple[Tensor]:
        """The loss of positives of one image, summed over its objects; a tuple with one scalar.

        Args:
            cls_score: (R, K) probabilities.
            objectness: (R, 1) probabilities.
            reg_loss: (R, G) box losses.
            gt_labels: (G,).
            center_prior_weights: (R, G).
        """
        # the box loss as the likelihood of the box: a point is a positive as far as class, object and box fit
        p_pos = (cls_score * objectness)[:, gt_labels] * (-reg_loss).exp()
        return (positive_loss(p_pos, center_prior_weights) * self.pos_loss_weight,)

    def get_neg_loss_single(
        self,
        cls_score: Tensor,
        objectness: Tensor,
        gt_labels: Tensor,
        ious: Tensor,
        inside_gt_bbox_mask: Tensor,
        weights: Tensor | float = 1.0,
    ) -> tuple[Tensor]:
        """The loss of negatives of one image, summed over its points; a tuple with one scalar.

        Args:
            cls_score: (R, K) probabilities.
            objectness: (R, 1) probabilities.
            gt_labels: (G,).
            ious: (R, G).
            inside_gt_bbox_mask: (R, G) bool.
            weights: (R, 1) or (R, K) factors, as the image says.
        """
        lowering = negative_weights(ious, gt_labels, inside_gt_bbox_mask, cls_score.size(1))
        return ((negative_loss(cls_score * objectness, lowering) * weights).sum() * self.neg_loss_weight,)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        objectnesses: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_pos``, ``loss_neg`` and ``loss_center``.

        Args:
            cls_scores: L maps (N, K, H, W).
            bbox_preds: L maps (N, 4, H, W).
            objectnesses: L maps (N, 1, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: not used.
        """
        cls_scores, bbox_preds, objectnesses = map(to_full_precision, (cls_scores, bbox_preds, objectnesses))
        sizes = sizes_of_maps(cls_scores)
        levels = self.prior_generator.grid_priors(sizes, dtype=bbox_preds[0].dtype, device=bbox_preds[0].device)
        inside, distances = self.get_targets(levels, gt_bboxes)
        priors, inside = multi_apply(self.center_prior, [levels] * len(img_metas), gt_bboxes, gt_labels, inside)
        scores = rows_of_images(cls_scores, self.cls_out_channels).sigmoid()
        objectness, boxes = rows_of_images(objectnesses, 1).sigmoid(), rows_of_images(bbox_preds, 4)
        points = torch.cat(levels)
        box_losses, ious = multi_apply(self._compare_boxes, boxes, distances, inside, points=points)
        weights = self._negative_weights(scores * objectness, points, inside, gt_bboxes, gt_labels, img_metas)
        (pos,) = multi_apply(self.get_pos_loss_single, scores, objectness, box_losses, gt_labels, priors)
        (neg,) = multi_apply(self.get_neg_loss_single, scores, objectness, gt_labels, ious, inside, weights)
        centre = [centre_loss(prior) for prior in priors]
        of_images = self.image_weights(img_metas, points.device)
        if of_images is not None:
            pos, centre = ([part * weight for part, weight in zip(parts, of_images)] for parts in (pos, centre))
        num_objects = reduce_mean(points.new_full((), float(sum(map(len, gt_bboxes))))).clamp(min=1)
        # how many positives the priors expect: the assignment is soft, and no count of positives is there
        prior_sum = reduce_mean(sum(prior.detach().sum() for prior in priors)).clamp(min=1)
        # images without objects use neither boxes nor priors: other processes wait for their gradients all the same
        attached = boxes.sum() * 0 + (self.center_prior.mean.sum() + self.center_prior.sigma.sum()) * 0
        return dict(
            loss_pos=sum(pos) / num_objects + attached,
            loss_neg=sum(neg) / prior_sum,
            loss_center=torch.stack(centre).mean() * self.center_loss_weight,
        )

    def _compare_boxes(
        self, bbox_pred: Tensor, targets: Tensor, inside: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Box losses (R, G) of one image's predictions, and their overlaps (R, G) with the object they fit best.

        Args:
            bbox_pred: (R, 4) distances.
            targets: (R, G, 4) distances.
            inside: (R, G) bool; overlaps are 0 elsewhere.
            points: (R, 2).
        """
        shape = targets.shape[:2]
        flat = points[:, None].expand(*shape, 2).reshape(-1, 2)
        predicted = self.bbox_coder.decode(flat, bbox_pred[:, None].expand_as(targets).reshape(-1, 4))
        gts = self.bbox_coder.decode(flat, targets.reshape(-1, 4))
        losses = self.loss_bbox(predicted, gts, weight=None, reduction_override='none').reshape(shape)
        ious = bbox_overlaps(predicted.detach(), gts, is_aligned=True).reshape(shape)
        if shape[1]:
            ious = ious.amax(dim=1, keepdim=True).expand(shape)
        return losses, torch.where(inside, ious, 0.0)

    def _negative_weights(
        self,
        joint: Tensor,
        points: Tensor,
        inside: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> Tensor:
        """(N, R, 1) or (N, R, K) factors of the negative loss, as the images say."""
        labels = torch.stack(
            [
                functional.pad(labels, (1, 0), value=self.num_classes)[first_inside(mask)]
                for mask, labels in zip(inside, gt_labels)
            ]
        )
        ones = torch.ones_like(joint[..., 0])
        boxes = (labels < self.num_classes).to(joint)[..., None]
        targets = self.weigh(
            Targets(labels, ones, torch.zeros_like(boxes), boxes),
            img_metas,
            lambda i: inside_objects(points, gt_bboxes[i]),
        )
        return probability_weights(self, joint, labels, targets.label_weights, img_metas)

    def get_targets(self, points: Sequence[Tensor], gt_bboxes_list: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Which of the points, L times (H * W, 2), lie in the objects, N times (R, G); distances, N times (R, G, 4)."""
        return multi_apply(self._get_target_single, gt_bboxes_list, points=torch.cat(list(points)))

    def _get_target_single(self, gt_bboxes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Masks (R, G) and distances (R, G, 4) of one image."""
        distances = points_to_boxes(points, gt_bboxes.expand(len(points), -1, -1))
        return distances.amin(dim=-1) > 0, distances

    def _get_points_single(self, *args: Any, **kwargs: Any) -> Tensor:
        """(H * W, 2) x, y in pixels of the upper left corners of the cells; an old way to ``prior_generator``."""
        featmap_size, stride = args[:2]
        return super()._get_points_single(*args, **kwargs) - stride // 2


def first_inside(mask: Tensor) -> Tensor:
    """(R,) number from 1 of the first object that each point is in, by (R, G) bool; 0: none."""
    padded = functional.pad(mask, (1, 0), value=False).byte()
    return padded.argmax(dim=1)


__all__ = ['AutoAssignHead', 'CenterPrior']
