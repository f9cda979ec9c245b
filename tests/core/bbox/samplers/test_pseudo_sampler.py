import pytest
from samplers_cases import assigned

from mmdet.core.bbox import build_sampler
from mmdet.core.bbox.demodata import random_boxes


@pytest.mark.parametrize('img_metas', [None, {}, {'ignore_negatives': 1}])
def test_pseudo_sampler_takes_all_and_no_notice_of_directives(img_metas):
    sampler = build_sampler(dict(type='PseudoSampler', context=None))
    result = sampler.sample(assigned([1, 0, -1, 0]), random_boxes(4, 9, 0), random_boxes(2, 9, 1), img_metas=img_metas)
    assert result.pos_inds.tolist() == [0] and result.neg_inds.tolist() == [1, 3]
    assert result.pos_is_gt.tolist() == [0]
