"""Small detectors, and files that they are exported to."""

import torch
from mmcv import Config

from mmdet.models import build_detector

NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
CLASSES = ('circle', 'square', 'star')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(224, 160),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **NORM),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
TRUNK = dict(
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=1,
        strides=(1,),
        dilations=(1,),
        out_indices=(0,),
        base_channels=8,
        stem_channels=8,
    ),
    neck=dict(type='FPN', in_channels=[8], out_channels=16, num_outs=2),
)
SPREAD = dict(RetinaNet=2.0, MaskRCNN=8.0)  # factor of the weights of what scores
CODER = dict(type='DeltaXYWHBBoxCoder')


def retinanet(levels=2):
    """Of one level the graph has half the operators, which is what exporting takes its time for."""
    neck = TRUNK['neck'] | dict(num_outs=levels)
    return dict(
        type='RetinaNet',
        **TRUNK | dict(neck=neck),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=3,
            in_channels=16,
            feat_channels=16,
            stacked_convs=1,
            anchor_generator=dict(
                type='AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=1,
                ratios=[0.5, 1.0],
                strides=[4, 8][:levels],
            ),
            bbox_coder=CODER,
        ),
        test_cfg=dict(nms_pre=200, score_thr=0.5, nms=dict(type='nms', iou_threshold=0.5), max_per_img=40),
    )


def mask_rcnn():
    return dict(
        type='MaskRCNN',
        **TRUNK,
        rpn_head=dict(
            type='RPNHead',
            in_channels=16,
            feat_channels=16,
            anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[1.0], strides=[4, 8]),
            bbox_coder=CODER,
        ),
        roi_head=dict(
            type='StandardRoIHead',
            bbox_roi_extractor=_extractor(7),
            bbox_head=dict(
                type='Shared2FCBBoxHead',
                in_channels=16,
                fc_out_channels=32,
                roi_feat_size=7,
                num_classes=3,
                bbox_coder=CODER,
            ),
            mask_roi_extractor=_extractor(14),
            mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=16, conv_out_channels=16, num_classes=3),
        ),
        test_cfg=dict(
            rpn=dict(nms_pre=100, max_per_img=50, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
            rcnn=dict(score_thr=0.3, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20, mask_thr_binary=0.5),
        ),
    )


def _extractor(size):
    layer = dict(type='RoIAlign', output_size=size, sampling_ratio=0)
    return dict(type='SingleRoIExtractor', roi_layer=layer, out_channels=16, featmap_strides=[4, 8], finest_scale=28)


def config_of(model):
    test = dict(type='CocoDataset', classes=CLASSES, ann_file='', img_prefix='', pipeline=PIPELINE)
    return Config(dict(model=model, data=dict(samples_per_gpu=1, workers_per_gpu=0, test=test)))


def built(model):
    """The detector with random weights, by which scores differ, and nothing is found in an image of zeros."""
    torch.manual_seed(1)
    cfg = config_of(model)
    detector = build_detector(cfg.model).eval()
    for name, parameter in detector.named_parameters():
        if name.endswith(('retina_cls.weight', 'fc_cls.weight', 'rpn_cls.weight')):
            parameter.data *= SPREAD[model['type']]
        if name.endswith('retina_cls.bias'):
            parameter.data -= 3
    detector.CLASSES, detector.cfg = CLASSES, cfg
    return detector
