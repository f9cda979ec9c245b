"""Pixel decoders of MaskFormer and Mask2Former."""

import pytest
import torch
from mmcv.cnn import build_plugin_layer
from torch import nn
from torch.nn import functional as F

from mmdet.models.plugins import MSDeformAttnPixelDecoder, PixelDecoder, TransformerEncoderPixelDecoder
from mmdet.models.plugins.pixel_decoder import add_finer_maps

POSITIONS = dict(type='SinePositionalEncoding', num_feats=4, normalize=True)
FFN = dict(type='FFN', embed_dims=8, feedforward_channels=8, num_fcs=2, ffn_drop=0.0)
SIZES = ((8, 12), (4, 6), (2, 3))
CHANNELS = (3, 4, 5)


def encoder(**attention):
    layer = dict(
        type='BaseTransformerLayer', attn_cfgs=dict(embed_dims=8, num_heads=2, **attention), ffn_cfgs=FFN,
        operation_order=('self_attn', 'norm', 'ffn', 'norm'),
    )  # fmt: skip
    return dict(type='DetrTransformerEncoder', num_layers=1, transformerlayers=layer)


def deformable(num_levels=2, **changes):
    attention = dict(type='MultiScaleDeformableAttention', num_levels=num_levels, num_points=2, dropout=0.0)
    return dict(
        in_channels=CHANNELS, strides=(4, 8, 16), feat_channels=8, out_channels=6, num_outs=2,
        encoder=encoder(**attention), norm_cfg=dict(type='GN', num_groups=2), positional_encoding=POSITIONS,
    ) | changes  # fmt: skip


def feats(number=2):
    torch.manual_seed(0)
    return [torch.randn(number, channels, *size) for channels, size in zip(CHANNELS, SIZES)]


def test_each_map_is_added_to_what_is_coarser():
    maps = [torch.ones(1, 1, 4, 4), torch.full((1, 1, 2, 2), 10.0)]
    coarse = torch.tensor([[[[100.0]]]])
    layers = [nn.Identity()] * 2
    got = add_finer_maps(coarse, maps, layers, layers, 'nearest')
    assert [part.flatten().unique().tolist() for part in got] == [[110], [111]]
    assert [tuple(part.shape[-2:]) for part in got] == [(2, 2), (4, 4)]


def test_plain_decoder_is_a_pyramid_and_hands_on_the_coarsest_map():
    layer = PixelDecoder(CHANNELS, 8, 6, norm_cfg=None)
    layer.init_weights()
    assert layer.use_bias and not layer.mask_feature.bias.any()
    maps = feats()
    features, memory = layer(maps, [])
    assert features.shape == (2, 6, 8, 12) and memory is maps[2]
    coarse = layer.last_feat_conv(maps[2])
    for level in (1, 0):
        coarse = F.interpolate(coarse, size=SIZES[level])
        coarse = layer.output_convs[level](layer.lateral_convs[level](maps[level]) + coarse)
    torch.testing.assert_close(features, layer.mask_feature(coarse))


def test_encoder_does_not_look_at_padding():
    layer = TransformerEncoderPixelDecoder(
        CHANNELS, 8, 6, dict(type='GN', num_groups=2), encoder=encoder(type='MultiheadAttention'),
        positional_encoding=POSITIONS,
    ).eval()  # fmt: skip
    layer.init_weights()
    assert layer.last_feat_conv is None and layer.encoder_out_proj.conv.weight.shape == (8, 8, 3, 3)
    convs = [m for m in layer.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    assert len(convs) == 2 and not any(conv.bias.any() for conv in convs)
    metas = [dict(img_shape=(32, 32, 3), batch_input_shape=(32, 48)), dict(img_shape=(32, 48, 3))]
    maps = feats()
    changed = [*maps[:2], maps[2].clone()]
    changed[2][:, :, :, 2] += 5  # padding of the first image
    features, memory = layer(maps, metas)
    assert features.shape == (2, 6, 8, 12) and memory.shape == (2, 8, 2, 3)
    other = layer(changed, metas)[1]
    torch.testing.assert_close(memory[0, :, :, :2], other[0, :, :, :2])
    assert not torch.allclose(memory[1, :, :, :2], other[1, :, :, :2])


def test_deformable_decoder_gives_the_coarsest_maps_first():
    torch.manual_seed(0)
    layer = MSDeformAttnPixelDecoder(**deformable()).eval()
    layer.init_weights()
    assert layer.num_encoder_levels == 2 and layer.num_input_levels == 3 and not layer.use_bias
    assert not any(conv.conv.bias.any() for conv in layer.input_convs) and not layer.mask_feature.bias.any()
    features, maps = layer(feats())
    assert features.shape == (2, 6, 8, 12)
    assert [tuple(part.shape) for part in maps] == [(2, 8, 2, 3), (2, 8, 4, 6)]
    three = MSDeformAttnPixelDecoder(**deformable(num_outs=3)).eval()
    three.load_state_dict(layer.state_dict())
    maps_of_three = three(feats())[1]
    torch.testing.assert_close(maps_of_three[:2], maps)
    torch.testing.assert_close(three.mask_feature(maps_of_three[2]), features)


def test_attention_of_the_deformable_decoder_reads_both_maps():
    torch.manual_seed(0)
    layer = MSDeformAttnPixelDecoder(**deformable()).eval()
    layer.init_weights()
    maps = [feat.requires_grad_() for feat in feats(1)]
    layer(maps)[1][0].sum().backward()  # the coarsest map of the encoder
    assert maps[1].grad.any() and maps[2].grad.any() and maps[0].grad is None


def test_middles_of_cells_are_fractions_of_the_map():
    layer = MSDeformAttnPixelDecoder(**deformable())
    middles = layer._middles((2, 4), 1, torch.device('cpu'))
    assert middles.tolist() == [[x, y] for y in (0.25, 0.75) for x in (0.125, 0.375, 0.625, 0.875)]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_levels=4), 'num_levels of the attention must be between 1 and the 3 maps'),
        (dict(num_outs=4), 'num_outs must be between 1 and the 3 maps'),
        (dict(strides=(4, 8)), '3 maps in in_channels, but 2 strides'),
        (dict(feat_channels=16), 'feat_channels=16 channels, got 8'),
        (dict(positional_encoding=dict(POSITIONS, num_feats=8)), 'must be half of the 8 channels, got 8'),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build_plugin_layer(dict(deformable(**changes), type='MSDeformAttnPixelDecoder'))


def test_encoder_of_other_channels_is_refused():
    with pytest.raises(ValueError, match='feat_channels=16 channels, got 8'):
        TransformerEncoderPixelDecoder(CHANNELS, 16, 6, norm_cfg=None, encoder=encoder(type='MultiheadAttention'))
