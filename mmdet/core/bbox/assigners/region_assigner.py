"""Assignment of anchors by the objects' central regions on their level (Guided Anchoring,
https://arxiv.org/abs/1901.03278, section 3.4)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.anchor.utils import anchor_inside_flags
from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import BaseAssigner
from mmdet.core.bbox.assigners.hungarian_assigner import check_no_ignored
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.transforms import bbox_xyxy_to_cxcywh
from mmdet.core.img_meta import ImgMeta

Region = tuple[Tensor, Tensor, Tensor, Tensor]


def calc_region(bbox: Tensor, ratio: float, stride: float, featmap_size: tuple[int, int] | None = None) -> Region:
    """Central regions of boxes, in whole cells.

    Args:
        bbox: (..., 4) xyxy px.
        ratio: fraction cut off on each side.
        stride: px of a cell.
        featmap_size: (h, w) of the feature map, to which regions are clipped; None: they are not.

    Returns:
        x1, y1, x2, y2, each (...): first and last cell.
    """
    cells = bbox / stride
    first = torch.round((1 - ratio) * cells[..., :2] + ratio * cells[..., 2:])
    last = torch.round(ratio * cells[..., :2] + (1 - ratio) * cells[..., 2:])
    x1, y1, x2, y2 = torch.cat([first, last], dim=-1).unbind(dim=-1)
    if featmap_size is not None:
        x1, x2 = (x.clamp(min=0, max=featmap_size[1] - 1) for x in (x1, x2))
        y1, y2 = (y.clamp(min=0, max=featmap_size[0] - 1) for y in (y1, y2))
    return x1, y1, x2, y2


def anchor_ctr_inside_region_flags(anchors: Tensor, stride: float, region: Region) -> Tensor:
    """Anchors (n, 4) xyxy px whose centre, in cells, lies in a region: (n,) bool, or (n, G) for G regions."""
    x, y = bbox_xyxy_to_cxcywh(anchors / stride)[:, :2].unbind(dim=1)
    x1, y1, x2, y2 = region
    if x1.ndim:
        x, y = x[:, None], y[:, None]
    return (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)


@BBOX_ASSIGNERS.register_module()
class RegionAssigner(BaseAssigner):
    """Anchors in an object's centre on the level of its size are positive; those around it are left out.

    On that level the ring around the centre is left out; for the two levels beside it see :func:`leave_out_marked`.
    Where the regions of two objects overlap, the last one decides. All other anchors are negative.

    Args:
        center_ratio: size of the centre as a fraction of the object's.
        ignore_ratio: size of centre and ring together.
    """

    def __init__(self, center_ratio: float = 0.2, ignore_ratio: float = 0.5) -> None:
        self.center_ratio = center_ratio
        self.ignore_ratio = ignore_ratio

    def assign(
        self,
        mlvl_anchors: Sequence[Tensor],
        mlvl_valid_flags: Sequence[Tensor],
        gt_bboxes: Tensor,
        img_meta: ImgMeta,
        featmap_sizes: Sequence[tuple[int, int]],
        anchor_scale: float,
        anchor_strides: Sequence[int],
        gt_bboxes_ignore: None = None,
        gt_labels: Tensor | None = None,
        allowed_border: int = 0,
    ) -> AssignResult:
        """Assign the anchors of one image.

        Args:
            mlvl_anchors: L tensors (n_l, 4) xyxy px.
            mlvl_valid_flags: L tensors (n_l,) bool.
            gt_bboxes: (G, 4) xyxy px.
            img_meta: its ``img_shape`` (h, w, c) is used.
            featmap_sizes: (h, w) of each level.
            anchor_scale: side of an anchor in strides.
            anchor_strides: stride of each level in px.
            gt_bboxes_ignore: must be None.
            gt_labels: (G,) long.
            allowed_border: px that an anchor may stick out of the image, or it is left out; negative: any.

        Returns:
            Result of all anchors, level after level, without overlaps.

        Raises:
            NotImplementedError: there are ignored regions.
        """
        check_no_ignored(gt_bboxes_ignore, type(self).__name__)
        anchors, valid = torch.cat(list(mlvl_anchors)), torch.cat(list(mlvl_valid_flags))
        if len(gt_bboxes) == 0 or len(anchors) == 0:
            gt_inds = anchors.new_zeros(len(anchors), dtype=torch.long)
        else:
            levels = object_levels(gt_bboxes, anchor_scale * anchor_strides[0], len(mlvl_anchors))
            gt_inds = torch.cat(
                [
                    self.assign_level(level_anchors, gt_bboxes, levels - level, stride, size)
                    for level, (level_anchors, stride, size) in enumerate(
                        zip(mlvl_anchors, anchor_strides, featmap_sizes)
                    )
                ]
            )
            inside = anchor_inside_flags(anchors, valid, img_meta['img_shape'], allowed_border)
            gt_inds = gt_inds.masked_fill(~inside, -1)
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        return AssignResult(len(gt_bboxes), gt_inds, None, labels)

    def assign_level(
        self,
        anchors: Tensor,
        gt_bboxes: Tensor,
        level_offsets: Tensor,
        stride: float,
        featmap_size: tuple[int, int],
    ) -> Tensor:
        """Assign the anchors (n, 4) of one level.

        Args:
            anchors: (n, 4) xyxy px.
            gt_bboxes: (G, 4) xyxy px.
            level_offsets: (G,) long; by how many levels an object's level is above this one.
            stride: px of a cell.
            featmap_size: (h, w).

        Returns:
            (n,) long: number of the ground truth from 1, 0 or -1.
        """
        center, around = (
            anchor_ctr_inside_region_flags(anchors, stride, calc_region(gt_bboxes, cut, stride, featmap_size))
            for cut in ((1 - self.center_ratio) / 2, (1 - self.ignore_ratio) / 2)
        )  # (n, G) each
        own, beside = level_offsets == 0, level_offsets.abs() == 1
        center, ring = center & own, around & own
        ranks = torch.arange(1, len(gt_bboxes) + 1, device=anchors.device)
        last_center = (center * ranks).amax(dim=1)
        last_touching = ((center | ring) * ranks).amax(dim=1)
        gt_inds = torch.where(last_center == last_touching, last_center, -1)
        return leave_out_marked(gt_inds, (around & beside).any(dim=1))


def leave_out_marked(gt_inds: Tensor, marks: Tensor) -> Tensor:
    """What mmdetection 2.x does with the anchors that objects of the levels beside theirs mark for leaving out.

    It takes the marks for row numbers. So the first anchor of the level is left out where some anchor is not marked,
    the second one where some anchor is, and the marked ones stay as they were. The published numbers of guided
    anchoring were made so, and are kept.

    Args:
        gt_inds: (n,) long.
        marks: (n,) bool.
    """
    return gt_inds.index_fill(0, marks.long().clamp(max=len(gt_inds) - 1), -1)


def object_levels(gt_bboxes: Tensor, min_side: float, num_levels: int) -> Tensor:
    """(G,) long: level of each object; an object of side ``min_side`` px is on level 0, of twice that on level 1."""
    sizes = gt_bboxes[:, 2:4] - gt_bboxes[:, :2]
    levels = (sizes.prod(dim=1).sqrt() / min_side).log2() + 0.5
    return levels.floor().clamp(min=0, max=num_levels - 1).long()
