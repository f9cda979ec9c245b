import pytest
from other_necks_cases import FINE

from mmdet.models.necks.bfp import BFP
from mmdet.models.necks.channel_mapper import ChannelMapper
from mmdet.models.necks.hrfpn import HRFPN


@pytest.mark.parametrize(
    ('neck', 'message'),
    [
        (lambda: BFP(1, 2), 'refine_level'),
        (lambda: BFP(1, 3, refine_type='sum'), "refine_type: expected None, 'conv' or 'non_local'"),
        (lambda: BFP(1, 3)((FINE,)), 'BFP: expected 3 inputs, got 1'),
        (lambda: HRFPN([1], 1, pooling_type='SUM'), "pooling_type: expected 'AVG' or 'MAX'"),
        (lambda: HRFPN([1, 1], 1)((FINE,)), 'HRFPN: expected 2 inputs, got 1'),
        (lambda: ChannelMapper([1, 1], 1)((FINE,)), 'ChannelMapper: expected 2 inputs, got 1'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(neck, message):
    with pytest.raises(ValueError, match=message):
        neck()
