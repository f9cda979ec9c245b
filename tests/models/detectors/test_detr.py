"""DETR and Deformable DETR as whole detectors."""

import pytest
import torch

from mmdet.models.builder import build_detector

ATTENTION = dict(type='MultiheadAttention', embed_dims=4, num_heads=2)
DEFORMABLE = dict(type='MultiScaleDeformableAttention', embed_dims=4, num_heads=2, num_levels=2, num_points=1)
LAYER = dict(
    type='BaseTransformerLayer',
    ffn_cfgs=dict(type='FFN', feedforward_channels=8),
    operation_order=('self_attn', 'norm', 'ffn', 'norm'),
)
DECODER_LAYER = dict(
    type='DetrTransformerDecoderLayer', feedforward_channels=8,
    operation_order=('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm'),
)  # fmt: skip


def make(deformable):
    torch.manual_seed(0)
    prefix, attention = ('Deformable', DEFORMABLE) if deformable else ('', ATTENTION)
    levels = dict(num_feature_levels=2) if deformable else {}
    transformer = dict(
        type='DeformableDetrTransformer' if deformable else 'Transformer',
        encoder=dict(type='DetrTransformerEncoder', num_layers=1, transformerlayers=dict(LAYER, attn_cfgs=[attention])),
        decoder=dict(
            type=f'{prefix}DetrTransformerDecoder', num_layers=1, return_intermediate=True,
            transformerlayers=dict(DECODER_LAYER, attn_cfgs=[ATTENTION, attention]),
        ),
        **levels,
    )  # fmt: skip
    head = dict(
        type=f'{prefix}DETRHead', num_classes=3, in_channels=4, num_query=5, transformer=transformer,
        positional_encoding=dict(type='SinePositionalEncoding', num_feats=2, normalize=True),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
    )  # fmt: skip
    neck = dict(neck=None) if deformable else {}
    return build_detector(
        dict(
            type=f'{prefix}DETR', backbone=dict(type='TwoConvs'), bbox_head=head,
            train_cfg=dict(assigner=dict(type='HungarianAssigner')), test_cfg=dict(max_per_img=4), **neck,
        )
    )  # fmt: skip


@pytest.mark.parametrize('deformable', [False, True])
def test_a_step_reaches_the_backbone_and_a_test_gives_boxes(deformable, batch):
    detector = make(deformable)
    detector.init_weights()
    if deformable:  # boxes start at their reference, whatever the features are
        torch.nn.init.normal_(detector.bbox_head.reg_branches[0][-1].weight)
    out = detector.train_step(batch, None)
    out['loss'].backward()
    assert {'loss_cls', 'loss_bbox', 'loss_iou'} < set(out['log_vars'])
    assert detector.backbone.second.weight.grad.abs().sum() > 0
    detector.eval()
    results = detector(return_loss=False, img=[batch['img']], img_metas=[batch['img_metas']], rescale=True)
    assert [sum(map(len, of_image)) for of_image in results] == [4, 4]
    assert detector.forward_dummy(batch['img'])[0] is not None


def test_views_are_refused(batch):
    with pytest.raises(NotImplementedError, match='DETRHead has no test with augmentation'):
        make(False).forward_test([batch['img'][:1]] * 2, [batch['img_metas'][:1]] * 2)
