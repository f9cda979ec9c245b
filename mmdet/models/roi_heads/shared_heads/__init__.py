"""Layers that the branches of a RoI head share."""

from mmdet.models.roi_heads.shared_heads.res_layer import ResLayer

__all__ = ['ResLayer']
