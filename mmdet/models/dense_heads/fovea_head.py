"""FoveaBox: points in the middle of an object predict its sides (https://arxiv.org/abs/1904.03797)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.bbox.transforms import clip_boxes
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead, numbers_of_objects
from mmdet.models.dense_heads.functional.guided.feature_adaption import FeatureAdaption
from mmdet.models.dense_heads.functional.guided.guided_targets import last_object
from mmdet.models.dense_heads.functional.rows import positive_rows, rows_of_level, sizes_of_maps, to_full_precision
from mmdet.models.dense_heads.functional.towers import rare_classes

# Default arguments, never written to.
RARE_CLASSES = rare_classes('conv_cls')

BASE_EDGES = (16, 32, 64, 128, 256)
SCALE_RANGES = ((8, 32), (16, 64), (32, 128), (64, 256), (128, 512))
MAX_RATIO = 16  # of a distance to the level's base length, and of the inverse


class FeatureAlign(FeatureAdaption):
    """As the parent, by offsets from the predicted distances to the sides, into which gradients go back."""

    shape_channels = 4

    def forward(self, x: Tensor, shape: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) and distances (N, 4, H, W) -> (N, out_channels, H, W) >= 0."""
        return self.relu(self.conv_adaption(x, self.conv_offset(shape)))


def fovea_masks(gt_bboxes: Tensor, sigma: float, stride: float, featmap_size: tuple[int, int]) -> Tensor:
    """Cells in the middles of boxes.

    Args:
        gt_bboxes: (G, 4).
        sigma: size of the middle as a fraction of the box's.
        stride: pixels of a cell.
        featmap_size: (h, w).

    Returns:
        (G, h, w) bool.
    """
    boxes, height, width = gt_bboxes / stride, *featmap_size
    low, half = boxes[:, :2], (boxes[:, 2:] - boxes[:, :2]) / 2
    left, top = (low + (1 - sigma) * half - 0.5).ceil()[..., None, None].unbind(1)
    right, bottom = (low + (1 + sigma) * half - 0.5).floor()[..., None, None].unbind(1)
    (left, right), (top, bottom) = (
        (first.clamp(0, size - 1), last.clamp(0, size - 1))
        for first, last, size in ((left, right, width), (top, bottom, height))
    )
    rows, columns = (torch.arange(size, device=boxes.device) for size in featmap_size)
    return (columns >= left) & (columns <= right) & (rows[:, None] >= top) & (rows[:, None] <= bottom)


def smallest_last(gt_bboxes: Tensor) -> Tensor:
    """Boxes (G, 4) -> their indices (G,), from the largest area to the smallest."""
    return (gt_bboxes[:, 2:] - gt_bboxes[:, :2]).prod(dim=1).sqrt().argsort(descending=True, stable=True)


@HEADS.register_module()
class FoveaHead(AnchorFreeHead):
    """Class scores, and logarithms of the distances to the sides as multiples of a base length of the level.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        base_edge_list: base length of each level, pixels.
        scale_ranges: for each level the smallest and the largest object (root of its area, pixels).
        sigma: size of an object's middle as a fraction of the object's.
        with_deform: classes are predicted from features that fit the predicted boxes.
        deform_groups: of that feature alignment.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorFreeHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        base_edge_list: Sequence[int] = BASE_EDGES,
        scale_ranges: Sequence[tuple[int, int]] = SCALE_RANGES,
        sigma: float = 0.4,
        with_deform: bool = False,
        deform_groups: int = 4,
        init_cfg: dict | list | None = RARE_CLASSES,
        **kwargs: Any,
    ) -> None:
        self.base_edge_list = base_edge_list
        self.scale_ranges = scale_ranges
        self.sigma = sigma
        self.with_deform = with_deform
        self.deform_groups = deform_groups
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def _init_layers(self) -> None:
        channels = self.feat_channels
        self._init_reg_convs()
        self.conv_reg = nn.Conv2d(channels, 4, 3, padding=1)
        if self.with_deform:
            layer = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, bias=self.norm_cfg is None)
            self.cls_convs = nn.ModuleList(
                [
                    ConvModule(channels, channels * 4, 3, padding=1, **layer),
                    ConvModule(channels * 4, channels * 4, 1, **layer),
                ]
            )
            self.feature_adaption = FeatureAlign(channels, channels, 3, self.deform_groups)
            channels = channels * 4
        else:
            self._init_cls_convs()
        self.conv_cls = nn.Conv2d(channels, self.cls_out_channels, 3, padding=1)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores (N, C, H, W), log distances (N, 4, H, W)."""
        cls_feat = reg_feat = x
        for layer in self.reg_convs:
            reg_feat = layer(reg_feat)
        bbox_pred = self.conv_reg(reg_feat)
        if self.with_deform:
            # the offsets are made from the predicted sides, so that classes are judged where the box is
            cls_feat = self.feature_adaption(cls_feat, bbox_pred.exp())
        for layer in self.cls_convs:
            cls_feat = layer(cls_feat)
        return self.conv_cls(cls_feat), bbox_pred

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bbox_list: list[Tensor],
        gt_label_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls`` and ``loss_bbox``.

        Args:
            cls_scores: L maps (N, C, H, W).
            bbox_preds: L maps (N, 4, H, W).
            gt_bbox_list: N times (G, 4).
            gt_label_list: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: not used.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        sizes = sizes_of_maps(cls_scores)
        points = self.prior_generator.grid_priors(sizes, dtype=bbox_preds[0].dtype, device=bbox_preds[0].device)
        labels, targets = self.get_targets(gt_bbox_list, gt_label_list, sizes, points)

        def objects() -> Tensor:
            return self.get_targets(gt_bbox_list, numbers_of_objects(gt_bbox_list), sizes, points)[0]

        weighed = self.weigh_points(labels, targets, points, gt_bbox_list, img_metas, objects)
        scores, label_weights = self.point_scores_for_loss(cls_scores, weighed, img_metas)
        distances = torch.cat([rows_of_level(level, 4) for level in bbox_preds])
        pos = positive_rows(labels, self.num_classes)
        # one more for each image: a batch without objects does not divide by 0, and published numbers were made so
        loss_cls = self.loss_cls(scores, labels, label_weights, avg_factor=len(pos) + len(gt_bbox_list))
        weights = weighed.bbox_weights[pos]
        loss_bbox = self.loss_bbox(distances[pos], targets[pos], weights, avg_factor=max(len(pos), 1))
        return dict(loss_cls=loss_cls, loss_bbox=loss_bbox)

    def get_targets(
        self,
        gt_bbox_list: list[Tensor],
        gt_label_list: list[Tensor],
        featmap_sizes: Sequence[tuple[int, int]],
        points: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Targets of a batch.

        Args:
            gt_bbox_list: N times (G, 4).
            gt_label_list: N times (G,).
            featmap_sizes: (H, W) of each level.
            points: L times (H * W, 2).

        Returns:
            labels (n,) in [0, K], K for background, and log distances (n, 4), level after level and in each of them
            image after image.
        """
        targets = multi_apply(
            self._get_target_single, gt_bbox_list, gt_label_list, featmap_size_list=featmap_sizes, point_list=points
        )
        labels, distances = (torch.cat([item for level in zip(*kind) for item in level]) for kind in targets)
        return labels, distances

    def _get_target_single(
        self,
        gt_bboxes_raw: Tensor,
        gt_labels_raw: Tensor,
        featmap_size_list: Any = None,
        point_list: Any = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels, L times (H * W,), and log distances, L times (H * W, 4), of one image; see :meth:`get_targets`.

        ``featmap_size_list`` (h, w of each level) and ``point_list`` must be given.
        """
        order = smallest_last(gt_bboxes_raw)  # where middles overlap, the smaller object decides
        gts, labels = gt_bboxes_raw[order], gt_labels_raw[order]
        sizes = (gts[:, 2:] - gts[:, :2]).prod(dim=1).sqrt()
        # row 0 is that of points without an object: distances are one base length there
        padded_labels = functional.pad(labels, (1, 0), value=self.num_classes)
        padded_gts = functional.pad(gts, (0, 0, 1, 0))
        all_labels, all_targets = [], []
        levels = zip(self.base_edge_list, self.scale_ranges, self.strides, featmap_size_list, point_list)
        for base, (smallest, largest), stride, featmap_size, points in levels:
            # ranges of neighbouring levels overlap: an object in between is learnt on both
            fits = (sizes >= smallest) & (sizes <= largest)
            chosen = last_object(fovea_masks(gts, self.sigma, stride, featmap_size) & fits[:, None, None]).flatten()
            boxes = padded_gts[chosen]
            distances = torch.cat([points - boxes[:, :2], boxes[:, 2:] - points], dim=1) / base
            distances = torch.where(chosen[:, None] > 0, distances, 1.0)
            all_labels.append(padded_labels[chosen])
            # points of a middle that is rounded up to a cell may lie outside the object, where the logarithm has no
            # value
            all_targets.append(distances.clamp(min=1 / MAX_RATIO, max=MAX_RATIO).log())
        return all_labels, all_targets

    def _boxes_of_level(self, level: int, priors: Tensor, deltas: Tensor, max_shape: tuple[int, ...]) -> Tensor:
        return self._bbox_decode(priors, deltas, self.base_edge_list[level], max_shape)

    def _bbox_decode(self, priors: Tensor, bbox_pred: Tensor, base_len: float, max_shape: tuple[int, ...]) -> Tensor:
        """Points (n, 2) and log distances (n, 4) -> boxes (n, 4), inside the last pixel of ``max_shape`` (h, w)."""
        distances = bbox_pred.exp() * base_len
        boxes = torch.cat([priors - distances[:, :2], priors + distances[:, 2:]], dim=1)
        return clip_boxes(boxes, max_shape[:2], offset=1)

    def _get_points_single(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Rows y and columns x of the middles of the cells; an old way to ``prior_generator``."""
        y, x = super()._get_points_single(*args, **kwargs)
        return y + 0.5, x + 0.5
