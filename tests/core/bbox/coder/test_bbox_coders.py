"""Box coders: hand-computed numbers, round trips, gradients."""

import pytest
from bbox_coders_cases import some_boxes
from torch.testing import assert_close

from mmdet.core.bbox import build_bbox_coder

ROUND_TRIPS = {
    'delta': dict(type='DeltaXYWHBBoxCoder', target_means=(0.1, 0, 0.2, 0), target_stds=(0.1, 0.1, 0.2, 0.2)),
    'tblr': dict(type='TBLRBBoxCoder', normalizer=4.0),
    'tblr_each': dict(type='TBLRBBoxCoder', normalizer=[1.0, 2.0, 3.0, 4.0]),
    'pseudo': dict(type='PseudoBBoxCoder'),
    'distance': dict(type='DistancePointBBoxCoder'),
}


@pytest.mark.parametrize('name', ROUND_TRIPS)
def test_coders_decode_what_they_encoded(name):
    coder, priors, gts = build_bbox_coder(ROUND_TRIPS[name]), some_boxes(0), some_boxes(1)
    priors = priors[:, :2] if name == 'distance' else priors
    assert_close(coder.decode(priors, coder.encode(priors, gts)), gts)


@pytest.mark.parametrize('name', [name for name in ROUND_TRIPS if name != 'pseudo'])
def test_coders_name_unequal_numbers_of_boxes(name):
    coder, priors = build_bbox_coder(ROUND_TRIPS[name]), some_boxes(0)[:, : 2 if name == 'distance' else 4]
    with pytest.raises(ValueError, match='encode: .* differ in the number of boxes'):
        coder.encode(priors, some_boxes(1)[:2])
    with pytest.raises(ValueError, match='decode: .* differ in the number of boxes'):
        coder.decode(priors, some_boxes(1)[:2])
