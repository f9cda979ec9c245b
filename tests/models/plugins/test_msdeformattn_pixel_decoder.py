import pytest
import torch
from mmcv.cnn import build_plugin_layer
from pixel_decoders_cases import CHANNELS, POSITIONS, encoder, feats

from mmdet.models.plugins import MSDeformAttnPixelDecoder


def deformable(num_levels=2, **changes):
    attention = dict(type='MultiScaleDeformableAttention', num_levels=num_levels, num_points=2, dropout=0.0)
    return dict(
        in_channels=CHANNELS, strides=(4, 8, 16), feat_channels=8, out_channels=6, num_outs=2,
        encoder=encoder(**attention), norm_cfg=dict(type='GN', num_groups=2), positional_encoding=POSITIONS,
    ) | changes  # fmt: skip


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
