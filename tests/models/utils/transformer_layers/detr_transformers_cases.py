"""Layers that the tests of both transformers of DETR are made of."""

ATTENTION = dict(type='MultiheadAttention', embed_dims=8, num_heads=2)
ENCODER_ORDER = ('self_attn', 'norm', 'ffn', 'norm')
DECODER_ORDER = ('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm')


def layers(attention, order):
    ffn = dict(type='FFN', feedforward_channels=16)  # mmcv's own default has 256 channels
    return dict(type='BaseTransformerLayer', attn_cfgs=attention, ffn_cfgs=ffn, operation_order=order)


def decoder_layers(attention=ATTENTION, order=DECODER_ORDER):
    kind = 'DetrTransformerDecoderLayer'
    return dict(type=kind, attn_cfgs=attention, feedforward_channels=16, operation_order=order)
