import pytest
import torch
from pisa_sabl_sepbn_heads_cases import FOCAL, SQUARES, feats


@pytest.fixture
def sepbn(build_head):
    def make(**kwargs):
        return build_head(
            'RetinaSepBNHead', dict(sampler=None), num_classes=3, num_ins=2, stacked_convs=1, loss_cls=FOCAL,
            norm_cfg=dict(type='BN'), anchor_generator=SQUARES, **kwargs
        )  # fmt: skip

    return make


def test_levels_share_convolutions_but_not_their_normalisation(sepbn):
    head = sepbn()
    assert head.cls_convs[0][0].conv is head.cls_convs[1][0].conv
    assert head.cls_convs[0][0].bn is not head.cls_convs[1][0].bn
    assert head.cls_convs[0][0].conv is not head.reg_convs[0][0].conv
    head(feats())
    assert not head.cls_convs[0][0].bn.running_mean.equal(head.cls_convs[1][0].bn.running_mean)


def test_sepbn_classes_start_at_a_probability_of_one_percent(sepbn):
    head = sepbn()
    head.init_weights()
    torch.testing.assert_close(head.retina_cls.bias.sigmoid(), torch.full((3,), 0.01))
    assert head.cls_convs[1][0].conv.weight.std() < 0.02


def test_sepbn_refuses_other_numbers_of_levels_and_init_cfg(sepbn):
    with pytest.raises(ValueError, match='expected num_ins=2 feature maps, got 1'):
        sepbn()(feats()[:1])
    with pytest.raises(TypeError, match='init_cfg: expected None'):
        sepbn(init_cfg=dict(type='Normal'))
