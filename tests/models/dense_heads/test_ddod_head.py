import pytest

from mmdet.models.dense_heads.ddod_head import reweight_factors


def test_levels_with_few_positives_weigh_more():
    assert reweight_factors([10, 0, 5]) == pytest.approx([1, 2, 1.5])
    assert reweight_factors([3, 3]) == pytest.approx([2, 2])
