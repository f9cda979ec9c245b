"""Keypoint heads: a heat map for each RoI and keypoint."""

from mmdet.models.roi_heads.keypoint_heads.fcn_keypoint_head import FCNKeypointHead, KeypointTargets

__all__ = ['FCNKeypointHead', 'KeypointTargets']
