import pytest
import torch
from other_assigners_cases import FLAT

from mmdet.core.bbox import build_assigner


def test_center_region_smaller_object_gets_the_core():
    gts = torch.tensor([[0.0, 0, 64, 64], [24, 24, 40, 40]])
    assigner = build_assigner(dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4))
    result = assigner.assign(FLAT[:64], gts, None, torch.tensor([0, 1]))
    grid = result.gt_inds.reshape(8, 8)
    assert grid[3, 3] == 2 and grid[0, 0] == 0
    shadowed = result.get_extra_property('shadowed_labels').tolist()
    assert [27, 0] in shadowed and [27, 1] not in shadowed


@pytest.mark.parametrize('dominate, want', [(True, 2), (False, 0)])
def test_center_region_shadow_of_the_same_class(dominate, want):
    gts = torch.tensor([[0.0, 0, 64, 64], [24, 24, 40, 40]])
    config = dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4, foreground_dominate=dominate)
    result = build_assigner(config).assign(FLAT[:64], gts, None, torch.tensor([1, 1]))
    assert result.gt_inds[27] == want
    assert ([27, 1] in result.get_extra_property('shadowed_labels').tolist()) is not dominate
