"""Assigners besides the one by overlap: small scenes solved by hand, and images without objects or boxes."""

import pytest
import torch
from other_assigners_cases import FLAT, call

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.demodata import random_boxes

NAMES = [
    'ApproxMaxIoUAssigner', 'ATSSAssigner', 'CenterRegionAssigner', 'GridAssigner', 'HungarianAssigner',
    'MaskHungarianAssigner', 'MaxIoUAssigner', 'PointAssigner', 'RegionAssigner', 'SimOTAAssigner',
    'TaskAlignedAssigner', 'UniformAssigner',
]  # fmt: skip


@pytest.mark.parametrize('name', [name for name in NAMES if name not in ('MaskHungarianAssigner', 'ATSSAssigner')])
def test_object_equal_to_an_anchor_is_found_by_it(name):
    gts, labels = FLAT[[27, 70]], torch.tensor([2, 1])
    result = call(name, gts, labels)
    assert result.gt_inds[[27, 70]].tolist() == [1, 2]
    assert result.labels[[27, 70]].tolist() == [2, 1]
    assert torch.equal(result.labels >= 0, result.gt_inds > 0)


@pytest.mark.parametrize('name', NAMES)
def test_image_without_objects_is_all_background(name):
    result = call(name, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    assert result.num_gts == 0
    assert result.gt_inds.tolist() == [0] * 80 and result.labels.tolist() == [-1] * 80


@pytest.mark.parametrize('name', NAMES)
def test_image_without_boxes_is_an_empty_result(name):
    result = call(name, random_boxes(2, 60, 0), torch.tensor([0, 1]), FLAT[:0])
    assert result.num_gts == 2
    assert result.gt_inds.shape == result.labels.shape == (0,)
    assert result.gt_inds.dtype == torch.long


@pytest.mark.parametrize('name', ['HungarianAssigner', 'RegionAssigner'])
def test_assigners_that_cannot_ignore_say_so(name):
    assigner = build_assigner(dict(type=name))
    args = [None] * (5 if name == 'HungarianAssigner' else 7)
    with pytest.raises(NotImplementedError, match=f'{name} knows no ignored regions'):
        assigner.assign(*args, gt_bboxes_ignore=torch.zeros(1, 4))
