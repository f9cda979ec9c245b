"""Costs of matching predictions with ground truth."""

from mmdet.core.bbox.match_costs.builder import build_match_cost
from mmdet.core.bbox.match_costs.match_cost import (
    BBoxL1Cost,
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    IoUCost,
)

__all__ = [
    'BBoxL1Cost',
    'ClassificationCost',
    'CrossEntropyLossCost',
    'DiceCost',
    'FocalLossCost',
    'IoUCost',
    'build_match_cost',
]
