"""Small heads whose queries predict masks, for sweeps over all dense heads.

Features: two maps (N, 4, 4, 4) and (N, 4, 2, 2) of strides 8 and 16, three classes (two of things, one of stuff),
images of 32 by 32 px. ``forward_train`` takes masks behind boxes and labels; :func:`masks_of` makes them of boxes.
"""

import numpy as np

from mmdet.core.mask import BitmapMasks

ATTENTION = dict(type='MultiheadAttention', embed_dims=8, num_heads=2)
DEFORMABLE = dict(
    type='MultiScaleDeformableAttention', embed_dims=8, num_heads=2, num_levels=1, num_points=2, dropout=0.0
)
FFN = dict(type='FFN', embed_dims=8, feedforward_channels=8, num_fcs=2, ffn_drop=0.0)
POSITIONS = dict(type='SinePositionalEncoding', num_feats=4, normalize=True)
GROUPS = dict(type='GN', num_groups=2)
SETTINGS = dict(
    in_channels=(4, 4), feat_channels=8, out_channels=8, num_things_classes=2, num_stuff_classes=1, num_queries=6,
    positional_encoding=POSITIONS, loss_cls=dict(type='CrossEntropyLoss', class_weight=[1.0] * 3 + [0.1]),
    loss_dice=dict(type='DiceLoss', use_sigmoid=True, activate=True, naive_dice=True, eps=1.0),
)  # fmt: skip


def encoder(attention):
    layer = dict(
        type='BaseTransformerLayer',
        attn_cfgs=attention,
        ffn_cfgs=FFN,
        operation_order=('self_attn', 'norm', 'ffn', 'norm'),
    )
    return dict(type='DetrTransformerEncoder', num_layers=1, transformerlayers=layer)


def decoder(*order):
    layer = dict(
        type='DetrTransformerDecoderLayer', attn_cfgs=ATTENTION, ffn_cfgs=FFN, feedforward_channels=8,
        operation_order=(order[0], 'norm', order[1], 'norm', 'ffn', 'norm'),
    )  # fmt: skip
    return dict(type='DetrTransformerDecoder', num_layers=2, return_intermediate=True, transformerlayers=layer)


def matching(mask_cost, **settings):
    costs = dict(
        cls_cost=dict(type='ClassificationCost'), mask_cost=mask_cost, dice_cost=dict(type='DiceCost', pred_act=True)
    )
    sampler = dict(type='MaskPseudoSampler')
    return dict(assigner=dict(type='MaskHungarianAssigner', **costs), sampler=sampler, **settings)


CASES = dict(
    MaskFormerHead=dict(
        SETTINGS, loss_mask=dict(type='FocalLoss', use_sigmoid=True),
        pixel_decoder=dict(
            type='TransformerEncoderPixelDecoder', norm_cfg=GROUPS, encoder=encoder(ATTENTION),
            positional_encoding=POSITIONS,
        ),
        transformer_decoder=decoder('self_attn', 'cross_attn'),
        train_cfg=matching(dict(type='FocalLossCost', binary_input=True)),
    ),
    Mask2FormerHead=dict(
        SETTINGS, loss_mask=dict(type='CrossEntropyLoss', use_sigmoid=True), num_transformer_feat_level=2,
        pixel_decoder=dict(
            type='MSDeformAttnPixelDecoder', strides=(8, 16), num_outs=2, norm_cfg=GROUPS, encoder=encoder(DEFORMABLE),
            positional_encoding=POSITIONS,
        ),
        transformer_decoder=decoder('cross_attn', 'self_attn'),
        train_cfg=matching(dict(type='CrossEntropyLossCost'), num_points=64),
    ),
)  # fmt: skip


def masks_of(boxes):
    """Masks of 32 by 32 px of boxes (G, 4)."""
    masks = np.zeros((len(boxes), 32, 32), dtype=np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = 1
    return BitmapMasks(masks, 32, 32)
