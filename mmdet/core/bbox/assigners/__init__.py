"""Assigners: which box is to find which ground truth."""

from mmdet.core.bbox.assigners.approx_max_iou_assigner import ApproxMaxIoUAssigner
from mmdet.core.bbox.assigners.ascend_assign_result import AscendAssignResult
from mmdet.core.bbox.assigners.ascend_max_iou_assigner import AscendMaxIoUAssigner
from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.assigners.atss_assigner import ATSSAssigner
from mmdet.core.bbox.assigners.base_assigner import BaseAssigner
from mmdet.core.bbox.assigners.center_region_assigner import CenterRegionAssigner
from mmdet.core.bbox.assigners.grid_assigner import GridAssigner
from mmdet.core.bbox.assigners.hungarian_assigner import HungarianAssigner
from mmdet.core.bbox.assigners.mask_hungarian_assigner import MaskHungarianAssigner
from mmdet.core.bbox.assigners.max_iou_assigner import MaxIoUAssigner
from mmdet.core.bbox.assigners.own_best_assigner import OwnBestMaxIoUAssigner
from mmdet.core.bbox.assigners.point_assigner import PointAssigner
from mmdet.core.bbox.assigners.region_assigner import RegionAssigner
from mmdet.core.bbox.assigners.sim_ota_assigner import SimOTAAssigner
from mmdet.core.bbox.assigners.task_aligned_assigner import TaskAlignedAssigner
from mmdet.core.bbox.assigners.uniform_assigner import UniformAssigner

__all__ = [
    'ATSSAssigner',
    'ApproxMaxIoUAssigner',
    'AscendAssignResult',
    'AscendMaxIoUAssigner',
    'AssignResult',
    'BaseAssigner',
    'CenterRegionAssigner',
    'GridAssigner',
    'HungarianAssigner',
    'MaskHungarianAssigner',
    'MaxIoUAssigner',
    'OwnBestMaxIoUAssigner',
    'PointAssigner',
    'RegionAssigner',
    'SimOTAAssigner',
    'TaskAlignedAssigner',
    'UniformAssigner',
]
