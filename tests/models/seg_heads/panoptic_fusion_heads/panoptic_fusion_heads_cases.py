"""Masks of known places, for the tests of both fusion heads."""

import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head


def spans(*ranges, width=10):
    """Masks (n, 1, width) that are 1 on [a, b)."""
    columns = torch.arange(width)
    masks = [(columns >= a) & (columns < b) for a, b in ranges]
    return torch.stack(masks)[:, None] if masks else torch.zeros(0, 1, width, dtype=torch.bool)


def former(**test_cfg):
    return build_head(
        dict(type='MaskFormerFusionHead', num_things_classes=2, num_stuff_classes=1, test_cfg=ConfigDict(test_cfg))
    )
