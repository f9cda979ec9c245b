"""Detectors with a backbone of two convolutions."""

import copy

import pytest
import torch
from small_detectors import CONFIGS

from mmdet.models.builder import build_detector


@pytest.fixture
def small_config():
    """``small_config(name)``: the config of one of the small detectors."""
    return lambda name: copy.deepcopy(CONFIGS[name])


@pytest.fixture
def build():
    """``build(name, **changes)``: one of the small detectors."""

    def make(name, **changes):
        torch.manual_seed(0)
        return build_detector(copy.deepcopy(CONFIGS[name]) | changes)

    return make


@pytest.fixture
def batch():
    """Two images of 32 x 48 px, the second without objects."""
    generator = torch.Generator().manual_seed(0)
    shape = (32, 48, 3)
    meta = dict(
        img_shape=shape, pad_shape=shape, ori_shape=(16, 24, 3), scale_factor=torch.tensor([2.0] * 4).numpy(),
        flip=False, flip_direction=None,
    )  # fmt: skip
    return dict(
        img=torch.randn(2, 3, 32, 48, generator=generator),
        img_metas=[dict(meta), dict(meta)],
        gt_bboxes=[torch.tensor([[8.0, 8, 24, 24], [20, 2, 46, 30]]), torch.zeros(0, 4)],
        gt_labels=[torch.tensor([0, 2]), torch.zeros(0, dtype=torch.long)],
    )
