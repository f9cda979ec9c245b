"""Modules that learn; importing this package registers them.

It shows the names of all its sub-packages but ``utils``.
"""

from typing import Any

from mmdet.models import (
    backbones,
    dense_heads,
    detectors,
    domain,
    losses,
    necks,
    plugins,
    roi_heads,
    seg_heads,
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
from mmdet.utils.registry import did_you_mean

_SHOWN = (backbones, necks, dense_heads, roi_heads, seg_heads, detectors, losses, plugins, domain)

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
__all__ += backbones.__all__
__all__ += dense_heads.__all__
__all__ += detectors.__all__
__all__ += domain.__all__
__all__ += losses.__all__
__all__ += necks.__all__
__all__ += plugins.__all__
__all__ += roi_heads.__all__
__all__ += seg_heads.__all__


def __getattr__(name: str) -> Any:
    for package in _SHOWN:
        if name in package.__all__:
            return getattr(package, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}{did_you_mean(name, __all__)}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
