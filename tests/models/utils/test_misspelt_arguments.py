"""Arguments of layers inside other layers that nobody knows: refused with their place and the nearest name."""

import copy
import warnings

import pytest
import torch
from mmcv.cnn.bricks.transformer import build_feedforward_network, build_transformer_layer

from mmdet.models import build_head, build_neck, build_roi_extractor
from mmdet.models.utils.transformers.attention import FFN
from mmdet.utils.configs.config_error import ConfigTypeError


def attention(**more):
    return dict(type='MultiheadAttention', embed_dims=256, num_heads=2, **more)


def layer(kind='BaseTransformerLayer', **more):
    is_decoder = kind == 'DetrTransformerDecoderLayer'
    order = ('self_attn', 'norm', *(('cross_attn', 'norm') if is_decoder else ()), 'ffn', 'norm')
    return dict(type=kind, attn_cfgs=attention(dropout=0.1), feedforward_channels=8, operation_order=order, **more)


def encoder(**more):
    return dict(type='DetrTransformerEncoder', num_layers=1, transformerlayers=layer(**more))


def detr():
    decoder = dict(
        type='DetrTransformerDecoder', return_intermediate=True, num_layers=1,
        transformerlayers=layer('DetrTransformerDecoderLayer', ffn_dropout=0.1),
    )  # fmt: skip
    return dict(
        type='DETRHead', num_classes=2, in_channels=4, num_query=3, train_cfg=None,
        positional_encoding=dict(type='SinePositionalEncoding', num_feats=128, normalize=True),
        transformer=dict(type='Transformer', encoder=encoder(ffn_dropout=0.1), decoder=decoder),
        loss_cls=dict(type='CrossEntropyLoss', class_weight=1.0, bg_cls_weight=0.1),
    )  # fmt: skip


def pixel_decoder():
    cfg = encoder(
        norm_cfg=dict(type='LN'), ffn_cfgs=dict(type='FFN', embed_dims=256, act_cfg=dict(type='ReLU', inplace=True))
    )
    return dict(
        type='TransformerEncoderPixelDecoder', norm_cfg=dict(type='GN', num_groups=2, eps=1e-5), encoder=cfg,
        positional_encoding=dict(type='SinePositionalEncoding', num_feats=128),
    )  # fmt: skip


def maskformer():
    decoder = dict(type='DetrTransformerDecoder', num_layers=1, transformerlayers=layer('DetrTransformerDecoderLayer'))
    return dict(
        type='MaskFormerHead', in_channels=(4, 8), feat_channels=256, out_channels=8, num_things_classes=2,
        num_stuff_classes=1, num_queries=3, pixel_decoder=pixel_decoder(), transformer_decoder=decoder,
        positional_encoding=dict(type='SinePositionalEncoding', num_feats=128),
        loss_cls=dict(type='CrossEntropyLoss', class_weight=[1.0] * 3 + [0.1]),
    )  # fmt: skip


ENCODER = 'transformer.encoder.transformerlayers'
DECODER = 'transformer.decoder.transformerlayers'
PIXELS = 'pixel_decoder.encoder.transformerlayers'
MISSPELT = [
    (detr, 'transformer', 'transformerr', ''),
    (detr, 'transformer.encoder', 'encoderr', 'transformer'),
    (detr, 'transformer.encoder.num_layers', 'num_layer', 'transformer.encoder'),
    (detr, f'{ENCODER}.attn_cfgs', 'attn_cfg', ENCODER),
    (detr, f'{ENCODER}.feedforward_channels', 'feedforward_chanels', ENCODER),
    (detr, f'{ENCODER}.ffn_dropout', 'ffn_droput', ENCODER),
    (detr, f'{ENCODER}.operation_order', 'operation_ordre', ENCODER),
    (detr, f'{ENCODER}.attn_cfgs.dropout', 'droput', f'{ENCODER}.attn_cfgs'),
    (detr, f'{ENCODER}.attn_cfgs.num_heads', 'num_head', f'{ENCODER}.attn_cfgs'),
    (detr, f'{DECODER}.ffn_dropout', 'ffn_droput', DECODER),
    (detr, f'{DECODER}.operation_order', 'operation_ordre', DECODER),
    (detr, 'positional_encoding.num_feats', 'num_feat', 'positional_encoding'),
    (detr, 'loss_cls.class_weight', 'class_weigth', 'loss_cls'),
    (maskformer, 'pixel_decoder', 'pixel_decodr', ''),
    (maskformer, 'pixel_decoder.encoder', 'encodr', 'pixel_decoder'),
    (maskformer, 'pixel_decoder.positional_encoding.num_feats', 'num_feat', 'pixel_decoder.positional_encoding'),
    (maskformer, 'pixel_decoder.norm_cfg.eps', 'epss', 'pixel_decoder.norm_cfg'),
    (maskformer, f'{PIXELS}.ffn_cfgs', 'ffn_cfg', PIXELS),
    (maskformer, f'{PIXELS}.norm_cfg', 'norm_cgf', PIXELS),
    (maskformer, f'{PIXELS}.ffn_cfgs.act_cfg', 'act_cgf', f'{PIXELS}.ffn_cfgs'),
    (maskformer, f'{PIXELS}.ffn_cfgs.act_cfg.inplace', 'inplac', f'{PIXELS}.ffn_cfgs.act_cfg'),
]  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        yield


@pytest.mark.parametrize(
    'make, key, wrong, place', MISSPELT, ids=[f'{case[0].__name__}-{case[2]}' for case in MISSPELT]
)
def test_misspelt_argument_of_a_transformer_is_named_with_its_place(make, key, wrong, place):
    cfg = make()
    node = cfg
    *path, right = key.split('.')
    for name in path:
        node = node[name]
    node[wrong] = node.pop(right)
    before = copy.deepcopy(cfg)
    with torch.device('meta'), pytest.raises(ConfigTypeError) as raised:
        build_head(cfg)
    text = str(raised.value)
    assert text.startswith(f'{place}: ' if place else cfg['type'])
    assert wrong in text and right in text
    assert cfg == before


@pytest.mark.parametrize('make', [detr, maskformer])
def test_right_spellings_build(make):
    with torch.device('meta'):
        build_head(make())


def test_old_names_of_feed_forward_layers_build():
    ffn = build_feedforward_network(
        dict(type='FFN', embed_dims=4, feedforward_channels=8, dropout=0.3, add_residual=False)
    )
    assert type(ffn) is FFN and ffn.layers[0][2].p == 0.3 and ffn.add_identity is False
    with pytest.raises(TypeError, match="'dropout' is an old name of 'ffn_drop'"):
        FFN(4, 8, ffn_drop=0.1, dropout=0.3)
    # what mmcv itself hands on to torch
    built = build_transformer_layer(dict(layer(), attn_cfgs=attention(bias=False)))
    assert built.attentions[0].attn.in_proj_bias is None


@pytest.mark.parametrize(
    'build, cfg, expected',
    [
        (build_head, dict(type='EmbeddingRPNHead', num_proposal=3), "'num_proposal'; did you mean 'num_proposals'"),
        (
            build_head,
            dict(type='HeuristicFusionHead', num_thing_classes=3),
            "'num_thing_classes'; did you mean 'num_things_classes'",
        ),
        (
            build_neck,
            dict(type='ChannelMapper', in_channels=[4], out_channels=4, norm_cfg=dict(type='BN', momentm=0.1)),
            "norm_cfg: BatchNorm2d .* does not take 'momentm'; did you mean 'momentum'",
        ),
        (
            build_roi_extractor,
            dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_rati=0),
                 out_channels=4, featmap_strides=[4]),
            "roi_layer: RoIAlign .* does not take 'sampling_rati'; did you mean 'sampling_ratio'",
        ),
    ],
    ids=['rpn', 'fusion', 'norm', 'roi_layer'],
)  # fmt: skip
def test_misspelt_argument_of_other_parts_is_named(build, cfg, expected):
    with pytest.raises(ConfigTypeError, match=expected):
        build(cfg)
