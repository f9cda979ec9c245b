"""Modules that learn; importing this package registers them."""

from mmdet.models import (
    backbones,  # noqa: F401
    dense_heads,  # noqa: F401
    detectors,  # noqa: F401
    domain,  # noqa: F401
    losses,  # noqa: F401
    necks,  # noqa: F401
    plugins,  # noqa: F401
    roi_heads,  # noqa: F401
    seg_heads,  # noqa: F401
)
from mmdet.models.builder import (
    BACKBONES,
    DETECTORS,
    HEADS,
    LOSSES,
    NECKS,
    ROI_EXTRACTORS,
    SHARED_HEADS,
    build_backbone,
    build_detector,
    build_head,
    build_loss,
    build_neck,
    build_roi_extractor,
    build_shared_head,
)

__all__ = [
    'BACKBONES',
    'DETECTORS',
    'HEADS',
    'LOSSES',
    'NECKS',
    'ROI_EXTRACTORS',
    'SHARED_HEADS',
    'build_backbone',
    'build_detector',
    'build_head',
    'build_loss',
    'build_neck',
    'build_roi_extractor',
    'build_shared_head',
]
