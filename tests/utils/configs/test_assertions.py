"""What is said of an assertion that says nothing itself."""

import pytest
from mmcv.cnn.bricks.transformer import build_transformer_layer

from mmdet.apis.error_texts import shown_text
from mmdet.utils.configs.assertions import asserted
from mmdet.utils.configs.config_error import building, config_key


def failing(check):
    with pytest.raises(AssertionError) as caught:
        check()
    return caught.value


def test_comparison_is_told_with_its_values():
    part = dict(width=32)

    def check(wanted=(1, 2)):
        assert part['width'] == wanted[-1]

    def length(parts=(1, 2)):
        assert len(parts) >= 3

    assert asserted(failing(check)) == "part['width'] == wanted[-1], and that is 32 == 2"
    assert asserted(failing(length)) == 'len(parts) >= 3, and that is 2 >= 3'


def test_nothing_is_called_again_to_tell_it():
    called = []

    def look():
        called.append(1)
        return 3

    def check():
        assert look() == 4

    assert asserted(failing(check)) == 'look() == 4' and called == [1]


def test_condition_of_any_other_kind_stands_alone():
    assert asserted(failing(lambda: exec('assert False'))) is None

    def check(flag=False):
        assert flag and isinstance(flag, bool)

    assert asserted(failing(check)) == 'flag and isinstance(flag, bool)'


def test_layer_of_mmcv_that_refuses_a_width_says_which():
    layer = dict(
        type='BaseTransformerLayer', attn_cfgs=dict(type='MultiheadAttention', embed_dims=32, num_heads=4),
        ffn_cfgs=dict(type='FFN', embed_dims=64), operation_order=('self_attn', 'norm', 'ffn', 'norm'),
    )  # fmt: skip
    with pytest.raises(AssertionError) as caught, config_key('model'), building(dict(transformer=layer)):
        build_transformer_layer(layer)
    text = shown_text(caught.value)
    assert "needs ffn_cfgs[ffn_index]['embed_dims'] == self.embed_dims" in text
    assert 'and that is 64 == 32 [in model.transformer (BaseTransformerLayer)] (MMDET_TRACEBACK=1' in text
