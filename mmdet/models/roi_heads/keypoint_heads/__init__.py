"""Keypoint heads: a heat map for each RoI and keypoint."""

from .custom_keypoint_head import RoILossWithWeightPerImage
from .fcn_keypoint_head import FCNKeypointHead, KeypointTargets

__all__ = ['FCNKeypointHead', 'KeypointTargets', 'RoILossWithWeightPerImage']
