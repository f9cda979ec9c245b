"""What one model was built with does not reach the next one."""

import copy
import warnings

import pytest
from mmcv import Config
from mmcv.cnn.bricks.registry import ATTENTION, TRANSFORMER_LAYER
from mmcv.cnn.bricks.transformer import build_attention, build_transformer_layer
from torch import nn

from mmdet.models.roi_heads.bbox_heads.dii_head import DIIHead
from mmdet.models.utils.transformers.attention import FFN_CFG, NO_DROPOUT, BaseTransformerLayer, MultiheadAttention

OLD_NAMES = dict(
    type='BaseTransformerLayer', feedforward_channels=8, ffn_dropout=0.1, ffn_num_fcs=3,
    ffn_cfgs=dict(FFN_CFG, embed_dims=4), operation_order=('self_attn', 'norm', 'ffn', 'norm'),
    attn_cfgs=[dict(type='MultiheadAttention', embed_dims=4, num_heads=2, dropout=0.3)],
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        yield


def test_the_names_of_configs_build_these_classes():
    assert ATTENTION.get('MultiheadAttention') is MultiheadAttention
    assert TRANSFORMER_LAYER.get('BaseTransformerLayer') is BaseTransformerLayer


def test_dropout_of_one_attention_is_not_the_default_of_the_next():
    cfg = dict(type='MultiheadAttention', embed_dims=4, num_heads=2)
    first, second = build_attention(dict(cfg, dropout=0.3)), build_attention(cfg)
    assert (first.attn.dropout, first.dropout_layer.p) == (0.3, 0.3)
    assert (second.attn.dropout, second.dropout_layer.p) == (0, 0)
    assert NO_DROPOUT['drop_prob'] == 0
    assert list(first.state_dict()) == list(second.state_dict())
    assert isinstance(MultiheadAttention(4, 2, dropout_layer=None).dropout_layer, nn.Identity)


def test_box_head_built_after_a_detr_drops_nothing():
    build_transformer_layer(copy.deepcopy(OLD_NAMES))
    conv = dict(type='DynamicConv', in_channels=4, feat_channels=2, out_channels=4, input_feat_shape=2)
    head = DIIHead(3, num_heads=2, in_channels=4, feedforward_channels=8, dynamic_conv_cfg=conv)
    assert head.attention.dropout_layer.p == head.attention.attn.dropout == 0


def test_old_names_work_and_change_neither_the_defaults_nor_the_config():
    cfg = Config(copy.deepcopy(OLD_NAMES))._cfg_dict
    layer = build_transformer_layer(cfg)
    assert cfg == Config(OLD_NAMES)._cfg_dict and 'batch_first' not in cfg.attn_cfgs[0]
    assert [linear.out_features for linear in (layer.ffns[0].layers[0][0], layer.ffns[0].layers[1][0])] == [8, 8]
    assert layer.ffns[0].layers[0][2].p == 0.1 and layer.attentions[0].attn.dropout == 0.3
    plain = BaseTransformerLayer(
        dict(type='MultiheadAttention', embed_dims=256, num_heads=2), operation_order=('self_attn', 'ffn')
    )
    assert plain.ffns[0].feedforward_channels == 1024 == FFN_CFG['feedforward_channels']
    other = BaseTransformerLayer(
        dict(type='MultiheadAttention', embed_dims=256, num_heads=2),
        operation_order=('self_attn', 'ffn'),
        feedforward_channels=16,
    )
    assert other.ffns[0].feedforward_channels == 16 and FFN_CFG['feedforward_channels'] == 1024
