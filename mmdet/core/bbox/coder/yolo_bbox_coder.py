"""Boxes relative to a cell and a prior (YOLO, https://arxiv.org/abs/1804.02767)."""

import torch
from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import center_size, check_same_number


@BBOX_CODERS.register_module()
class YOLOBBoxCoder(BaseBBoxCoder):
    """Boxes xyxy <-> centre in its cell (0 to 1) and logarithmic size in units of the prior's.

    Args:
        eps: least target and distance of the centre from the cell's border; least ratio of sizes.
    """

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor, stride: float | Tensor) -> Tensor:
        """(n, 4) targets that lead from priors (n, 4) to ``gt_bboxes`` (n, 4).

        ``stride`` is the side of the cells in px, one number or (n,).
        """
        check_same_number(bboxes, gt_bboxes, 'encode')
        stride = torch.as_tensor(stride, dtype=bboxes.dtype, device=bboxes.device).unsqueeze(-1)
        centers, sizes = center_size(bboxes)
        gt_centers, gt_sizes = center_size(gt_bboxes)
        in_cell = ((gt_centers - centers) / stride + 0.5).clamp(self.eps, 1 - self.eps)
        return torch.cat([in_cell, torch.log((gt_sizes / sizes).clamp(min=self.eps))], dim=-1)

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor, stride: float | Tensor) -> Tensor:
        """(..., n, 4) boxes from priors (..., n, 4) and predictions (..., n, 4); ``stride`` as in :meth:`encode`."""
        check_same_number(bboxes, pred_bboxes, 'decode')
        stride = torch.as_tensor(stride, dtype=bboxes.dtype, device=bboxes.device).unsqueeze(-1)
        centers, sizes = center_size(bboxes)
        centers = centers + (pred_bboxes[..., :2] - 0.5) * stride
        half = sizes * 0.5 * pred_bboxes[..., 2:].exp()
        return torch.cat([centers - half, centers + half], dim=-1)
