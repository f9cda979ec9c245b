"""Feature maps and encoders that the tests of both pixel decoders use."""

import torch

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


def feats(number=2):
    torch.manual_seed(0)
    return [torch.randn(number, channels, *size) for channels, size in zip(CHANNELS, SIZES)]
