"""Registry of overlap calculators."""

from typing import Any

from mmdet.utils.registry import Registry, build_from_cfg

IOU_CALCULATORS = Registry('IoU calculator')


def build_iou_calculator(cfg: dict, default_args: dict | None = None) -> Any:
    """Build an overlap calculator from its config."""
    return build_from_cfg(cfg, IOU_CALCULATORS, default_args)
