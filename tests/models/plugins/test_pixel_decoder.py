import pytest
import torch
from pixel_decoders_cases import CHANNELS, POSITIONS, SIZES, encoder, feats
from torch import nn
from torch.nn import functional as F

from mmdet.models.plugins import PixelDecoder, TransformerEncoderPixelDecoder
from mmdet.models.plugins.pixel_decoder import add_finer_maps


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


def test_encoder_of_other_channels_is_refused():
    with pytest.raises(ValueError, match='feat_channels=16 channels, got 8'):
        TransformerEncoderPixelDecoder(CHANNELS, 16, 6, norm_cfg=None, encoder=encoder(type='MultiheadAttention'))
