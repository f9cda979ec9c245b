from other_necks_cases import COARSE, FINE, all_identities

from mmdet.models.necks.pafpn import PAFPN


def test_pafpn_adds_the_strided_finer_level():
    neck = all_identities(PAFPN([1, 1], 1, num_outs=3))
    fine, coarse, extra = neck((FINE, COARSE))
    assert fine[0, 0, ::2, ::2].tolist() == [[100, 202], [308, 410]]
    assert coarse[0, 0].tolist() == [[200, 402], [608, 810]]
    assert extra.flatten().tolist() == [200]


def test_pafpn_extra_convolutions_read_the_last_output():
    neck = all_identities(PAFPN([1, 1], 1, num_outs=3, add_extra_convs='on_output'))
    assert neck((FINE, COARSE))[2].flatten().tolist() == [200]
