"""FCOS: every point inside an object predicts the distances to its sides (https://arxiv.org/abs/1904.01355)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_free_head import IOU_LOSS, AnchorFreeHead, numbers_of_objects
from mmdet.models.dense_heads.functional.rows import positive_rows, rows_of_level, sizes_of_maps, to_full_precision
from mmdet.models.dense_heads.functional.towers import CENTERNESS_LOSS, FOCAL_LOSS, GROUP_NORM, rare_classes
from mmdet.utils.running.device_copy import tensor_like

# Default arguments, never written to.
RARE_CLASSES = rare_classes('conv_cls')

INF = 1e8  # upper bound of the last level's range, in pixels; configs compare with this number
MIN_CENTERNESS_SUM = 1e-6  # least divisor of the box loss
REGRESS_RANGES = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, INF))


def points_to_boxes(points: Tensor, gt_bboxes: Tensor) -> Tensor:
    """(n, G, 4) distances from points (n, 2) to the left, top, right and bottom of boxes (G, 4), or of (n, G, 4)."""
    return torch.cat([points[:, None] - gt_bboxes[..., :2], gt_bboxes[..., 2:] - points[:, None]], dim=-1)


def shrink_to_centres(gt_bboxes: Tensor, radius: Tensor) -> Tensor:
    """(n, G, 4): the parts of boxes (G, 4) that are at most ``radius`` (n,), in pixels, away from their centres."""
    centres = (gt_bboxes[:, :2] + gt_bboxes[:, 2:]) / 2
    radius = radius[:, None, None]
    return torch.cat(
        [torch.maximum(centres - radius, gt_bboxes[:, :2]), torch.minimum(centres + radius, gt_bboxes[:, 2:])], dim=-1
    )


def smallest_object(
    points: Tensor, gt_bboxes: Tensor, ranges: Tensor, radius: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the objects that a point is to predict, the smallest one.

    Args:
        points: (n, 2).
        gt_bboxes: (G, 4), G > 0.
        ranges: (n, 2) least and greatest distance that a point of this level predicts, pixels.
        radius: (n,) greatest distance from an object's centre in each direction, pixels; None: any.

    Returns:
        indices of the objects (n,); whether there is one (n,); distances to its sides (n, 4).
    """
    distances = points_to_boxes(points, gt_bboxes)
    depths = distances if radius is None else points_to_boxes(points, shrink_to_centres(gt_bboxes, radius))
    inside = depths.amin(dim=-1) > 0
    furthest = distances.amax(dim=-1)
    fits = (furthest >= ranges[:, :1]) & (furthest <= ranges[:, 1:])
    areas = (gt_bboxes[:, 2:] - gt_bboxes[:, :2]).prod(dim=1)
    smallest, chosen = areas.expand_as(fits).masked_fill(~(inside & fits), torch.inf).min(dim=1)
    return chosen, smallest.isfinite(), distances[torch.arange(len(points), device=points.device), chosen]


@HEADS.register_module()
class FCOSHead(AnchorFreeHead):
    """Class scores, distances to the sides, and the centreness that lowers the scores of points near a side.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        regress_ranges: for each level the least and greatest distance in pixels that its points predict.
        center_sampling: only points near an object's centre predict it.
        center_sample_radius: how near, in strides.
        norm_on_bbox: predict distances in strides, of which negative ones are cut off, instead of their logarithms
            in pixels.
        centerness_on_reg: predict the centreness from the features of the boxes, not of the classes.
        loss_cls: config of the classification loss.
        loss_bbox: config of the box loss.
        loss_centerness: config of the centreness loss.
        norm_cfg: normalisation in the towers.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorFreeHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        regress_ranges: Sequence[tuple[float, float]] = REGRESS_RANGES,
        center_sampling: bool = False,
        center_sample_radius: float = 1.5,
        norm_on_bbox: bool = False,
        centerness_on_reg: bool = False,
        loss_cls: dict = FOCAL_LOSS,
        loss_bbox: dict = IOU_LOSS,
        loss_centerness: dict = CENTERNESS_LOSS,
        norm_cfg: dict | None = GROUP_NORM,
        init_cfg: dict | list | None = RARE_CLASSES,
        **kwargs: Any,
    ) -> None:
        self.regress_ranges = regress_ranges
        self.center_sampling = center_sampling
        self.center_sample_radius = center_sample_radius
        self.norm_on_bbox = norm_on_bbox
        self.centerness_on_reg = centerness_on_reg
        super().__init__(
            num_classes,
            in_channels,
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.loss_centerness = build_loss(loss_centerness)

    def _init_layers(self) -> None:
        super()._init_layers()
        self.conv_centerness = nn.Conv2d(self.feat_channels, 1, 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.strides)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of each of the three kinds of :meth:`forward_single`."""
        return multi_apply(self.forward_single, feats, self.scales, self.strides)

    def forward_single(self, x: Tensor, scale: nn.Module, stride: int) -> tuple[Tensor, Tensor, Tensor]:
        """One level -> class scores (N, C, H, W), distances to the sides (N, 4, H, W), centreness (N, 1, H, W).

        Args:
            x: features (N, in_channels, H, W).
            scale: the level's factor of the box predictions.
            stride: pixels of a cell.

        Returns:
            with ``norm_on_bbox`` the distances are in strides in training and in pixels otherwise; without, in pixels.
        """
        cls_score, bbox_pred, cls_feat, reg_feat = super().forward_single(x)
        centerness = self.conv_centerness(reg_feat if self.centerness_on_reg else cls_feat)
        bbox_pred = scale(bbox_pred).float()  # exp() overflows half precision
        if not self.norm_on_bbox:
            return cls_score, bbox_pred.exp(), centerness
        bbox_pred = bbox_pred.clamp(min=0)
        return cls_score, bbox_pred if self.training else bbox_pred * stride, centerness

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        centernesses: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_bbox`` and ``loss_centerness``.

        Args:
            cls_scores: L maps (N, C, H, W).
            bbox_preds: L maps (N, 4, H, W).
            centernesses: L maps (N, 1, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: not used.
        """
        cls_scores, bbox_preds, centernesses = map(to_full_precision, (cls_scores, bbox_preds, centernesses))
        sizes = sizes_of_maps(cls_scores)
        points = self.prior_generator.grid_priors(sizes, dtype=bbox_preds[0].dtype, device=bbox_preds[0].device)
        labels, bbox_targets = (torch.cat(levels) for levels in self.get_targets(points, gt_bboxes, gt_labels))

        def objects() -> Tensor:
            return torch.cat(self.get_targets(points, gt_bboxes, numbers_of_objects(gt_bboxes))[0])

        targets = self.weigh_points(labels, bbox_targets, points, gt_bboxes, img_metas, objects)
        scores, label_weights = self.point_scores_for_loss(cls_scores, targets, img_metas)
        distances, centerness = (
            torch.cat([rows_of_level(level, width) for level in maps])
            for maps, width in ((bbox_preds, 4), (centernesses, 1))
        )
        pos = positive_rows(labels, self.num_classes)
        num_pos = reduce_mean(scores.new_full((), len(pos))).clamp(min=1)
        # of targets before they are weighed: neither divisor may depend on the images' weights
        centres = self.centerness_target(bbox_targets[pos])
        box_weights = targets.bbox_weights[pos, 0]
        pos_points = torch.cat([level.repeat(len(gt_bboxes), 1) for level in points])[pos]
        loss_cls = self.loss_cls(scores, labels, label_weights, avg_factor=num_pos)
        loss_bbox = self.loss_bbox(
            self.bbox_coder.decode(pos_points, distances[pos]),
            self.bbox_coder.decode(pos_points, bbox_targets[pos]),
            weight=centres * box_weights,
            # the weights' own sum, so that the loss is a weighted mean
            avg_factor=reduce_mean(centres.sum().detach()).clamp(min=MIN_CENTERNESS_SUM),
        )
        loss_centerness = self.loss_centerness(centerness[pos].squeeze(1), centres, box_weights, avg_factor=num_pos)
        return dict(loss_cls=loss_cls, loss_bbox=loss_bbox, loss_centerness=loss_centerness)

    def get_targets(
        self, points: list[Tensor], gt_bboxes_list: list[Tensor], gt_labels_list: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Targets of a batch, by level.

        Args:
            points: L times (H * W, 2).
            gt_bboxes_list: N times (G, 4).
            gt_labels_list: N times (G,).

        Returns:
            labels, L times (N * H * W,) in [0, K], K for background; distances, L times (N * H * W, 4), in strides
            with ``norm_on_bbox``, otherwise in pixels.

        Raises:
            ValueError: there is not one range a level.
        """
        if len(points) != len(self.regress_ranges):
            raise ValueError(f'{len(points)} levels, but {len(self.regress_ranges)} regress_ranges')
        ranges = [tensor_like(limits, level).expand_as(level) for level, limits in zip(points, self.regress_ranges)]
        counts = [len(level) for level in points]
        targets = multi_apply(
            self._get_target_single,
            gt_bboxes_list,
            gt_labels_list,
            points=torch.cat(points),
            regress_ranges=torch.cat(ranges),
            num_points_per_lvl=counts,
        )
        labels, distances = ([level.flatten(0, 1) for level in torch.stack(t).split(counts, dim=1)] for t in targets)
        if self.norm_on_bbox:
            distances = [level / stride for level, stride in zip(distances, self.strides)]
        return labels, distances

    def _get_target_single(
        self,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        points: Tensor,
        regress_ranges: Tensor,
        num_points_per_lvl: list[int],
    ) -> tuple[Tensor, Tensor]:
        """Labels (R,) and distances in pixels (R, 4) of one image, all levels; see :meth:`get_targets`."""
        if not len(gt_bboxes):
            return gt_labels.new_full((len(points),), self.num_classes), points.new_zeros(len(points), 4)
        radius = None
        if self.center_sampling:
            radii = [
                points.new_full((count,), stride * self.center_sample_radius)
                for count, stride in zip(num_points_per_lvl, self.strides)
            ]
            radius = torch.cat(radii)
        chosen, found, distances = smallest_object(points, gt_bboxes, regress_ranges, radius)
        return gt_labels[chosen].masked_fill(~found, self.num_classes), distances

    def centerness_target(self, pos_bbox_targets: Tensor) -> Tensor:
        """Distances (P, 4) of points inside their objects -> (P,): 1 in the middle, 0 on a side."""
        return centerness_of(pos_bbox_targets)

    def _get_points_single(
        self,
        featmap_size: tuple[int, int],
        stride: int,
        dtype: torch.dtype,
        device: torch.device | str,
        flatten: bool = False,
    ) -> Tensor:
        """(H * W, 2) x, y in pixels of the middles of the cells; an old way to ``prior_generator``."""
        y, x = super()._get_points_single(featmap_size, stride, dtype, device)
        return torch.stack([x.reshape(-1), y.reshape(-1)], dim=-1) * stride + stride // 2


def centerness_of(distances: Tensor) -> Tensor:
    """Distances (P, 4) to the left, top, right and bottom -> (P,), geometric mean of how well both axes are halved."""
    low, high = distances[:, :2], distances[:, 2:]
    return (torch.minimum(low, high) / torch.maximum(low, high)).prod(dim=1).sqrt()
