"""Query head, RPN, RoI head and ATSS head in one detector; positives of two of them as queries of the first."""

import numpy as np
import pytest
import torch
from harness import train_and_resume

PLUGIN = """
custom_imports = dict(imports=['joint_heads'], allow_failed_imports=False)
ffn = dict(type='FFN', embed_dims=16, feedforward_channels=32, num_fcs=2)
layer = dict(type='BaseTransformerLayer', ffn_cfgs=ffn,
             attn_cfgs=[dict(type='MultiheadAttention', embed_dims=16, num_heads=2)],
             operation_order=('self_attn', 'norm', 'ffn', 'norm'))
decoder_layer = dict(type='DetrTransformerDecoderLayer', feedforward_channels=32, ffn_dropout=0.0, ffn_cfgs=ffn,
                     attn_cfgs=dict(type='MultiheadAttention', embed_dims=16, num_heads=2),
                     operation_order=('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm'))
query_head = dict(
    type='JointQueryHead', num_classes=2, in_channels=16, num_query=10,
    transformer=dict(
        type='Transformer',
        encoder=dict(type='DetrTransformerEncoder', num_layers=1, transformerlayers=layer),
        decoder=dict(type='DetrTransformerDecoder', return_intermediate=True, num_layers=2,
                     transformerlayers=decoder_layer)),
    positional_encoding=dict(type='SinePositionalEncoding', num_feats=8, normalize=True))
atss = dict(
    type='JointATSSHead', num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1,
    norm_cfg=dict(type='GN', num_groups=4, requires_grad=True),
    anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=4, scales_per_octave=1,
                          strides=[4, 8, 16, 32, 64]),
    bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True), loss_bbox=dict(type='GIoULoss', loss_weight=2.0))
"""
HERE = """
nms = dict(type='nms', iou_threshold=0.6)
roi_head = [dict(
    type='JointRoIHead',
    bbox_roi_extractor=dict(type='SingleRoIExtractor', out_channels=16, featmap_strides=[4, 8, 16, 32],
                            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0)),
    bbox_head=dict(type='Shared2FCBBoxHead', in_channels=16, fc_out_channels=32, num_classes=2))]
matching = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False)
"""


def text():
    # lists in place of the base's dicts, which a file that inherits them cannot give
    train = (
        "[dict(assigner=dict(type='HungarianAssigner')),"
        " dict(rpn=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),"
        " sampler=dict(type='RandomSampler', num=64, pos_fraction=0.5, add_gt_as_proposals=False),"
        ' allowed_border=-1, pos_weight=-1), rpn_proposal=dict(nms_pre=100, max_per_img=50, nms=nms),'
        " rcnn=dict(assigner=matching, sampler=dict(type='RandomSampler', num=32, pos_fraction=0.25), pos_weight=-1)),"
        " dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1)]"
    )
    test = (
        '[dict(max_per_img=10), dict(rpn=dict(nms_pre=100, max_per_img=50, nms=nms),'
        ' rcnn=dict(score_thr=0.0, nms=nms, max_per_img=10)),'
        ' dict(nms_pre=100, score_thr=0.0, nms=nms, max_per_img=10)]'
    )
    wrapper = (
        "model_wrapper = dict(type='JointDetector', backbone='${model.backbone}', neck='${model.neck}',"
        " rpn_head='${model.rpn_head}', query_head=query_head, bbox_head=[atss], roi_head=roi_head,"
        f' train_cfg={train}, test_cfg={test})\n'
    )
    return PLUGIN + HERE + wrapper


def test_joint_detector_trains_evaluates_saves_and_resumes(tmp_path):
    model, entries, cfg = train_and_resume(tmp_path, text())
    names = {'loss_cls', 'd0.loss_iou', 'loss_rpn_cls', 'roi0.loss_cls', 'atss0.loss_centerness', 'aux0.loss_aux'}
    assert names | {'aux1.loss_aux'} <= set(entries[0])
    assert model.query_head.aux_query.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('module', ['query', 'two_stage', 'one_stage'])
def test_each_head_can_be_tested(tmp_path, module):
    from harness import read_config

    from mmdet.models import build_detector

    cfg = read_config(tmp_path, text())
    model = build_detector(dict(cfg.model, eval_module=module)).eval()
    meta = dict(img_shape=(64, 64, 3), ori_shape=(64, 64, 3), scale_factor=np.ones(4, np.float32), flip=False)
    with torch.no_grad():
        (result,) = model([torch.rand(1, 3, 64, 64)], [[meta]], return_loss=False, rescale=True)
    assert len(result) == 2 and 0 < sum(map(len, result)) <= 10
