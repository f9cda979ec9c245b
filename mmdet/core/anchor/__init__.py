"""Prior generators: anchors and points."""

from mmdet.core.anchor.anchor_generator import (
    AnchorGenerator,
    LegacyAnchorGenerator,
    LegacySSDAnchorGenerator,
    SSDAnchorGenerator,
    YOLOAnchorGenerator,
)
from mmdet.core.anchor.builder import (
    ANCHOR_GENERATORS,
    PRIOR_GENERATORS,
    build_anchor_generator,
    build_prior_generator,
)
from mmdet.core.anchor.point_generator import MlvlPointGenerator, PointGenerator
from mmdet.core.anchor.rounded_anchor_generator import RoundedAnchorGenerator
from mmdet.core.anchor.utils import anchor_inside_flags, calc_region, images_to_levels

__all__ = [
    'ANCHOR_GENERATORS',
    'PRIOR_GENERATORS',
    'AnchorGenerator',
    'LegacyAnchorGenerator',
    'LegacySSDAnchorGenerator',
    'MlvlPointGenerator',
    'PointGenerator',
    'RoundedAnchorGenerator',
    'SSDAnchorGenerator',
    'YOLOAnchorGenerator',
    'anchor_inside_flags',
    'build_anchor_generator',
    'build_prior_generator',
    'calc_region',
    'images_to_levels',
]
