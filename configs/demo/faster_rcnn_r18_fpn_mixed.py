# Faster R-CNN from scratch on two drawn data sets: `clean` is fully annotated, of `partial` half of the boxes are
# missing. See docs/head_weights.md and docs/ignore_negatives.md for what the directives of `partial` do. They are here
# to show what there is; where as many of your own images are incomplete, docs/partial_labels.md advises 'overlap'.
_base_ = ['../_base_/models/faster_rcnn_r50_fpn.py', '../_base_/default_runtime.py']

classes = ('disc', 'square', 'triangle')
model = dict(
    channels_last=True,
    backbone=dict(depth=18, stem_channels=32, base_channels=32, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=dict(type='BN', requires_grad=True)),
    rpn_head=dict(
        type='RPNHeadWithWeightPerImage',
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(sampling_ratio=2), out_channels=64, finest_scale=28),
        bbox_head=dict(
            type='Shared2FCBBoxHeadWithWeightPerImage',
            in_channels=64,
            fc_out_channels=256,
            reg_class_agnostic=True,
            num_classes=len(classes))),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='RandomSamplerWithIgnore')),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(type='RandomSamplerWithIgnore', num=64, pos_fraction=0.5))),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=200)))

dataset_type = 'CocoDataset'
data_root = 'data/shapes/'
img_norm_cfg = dict(mean=[110.0, 110.0, 110.0], std=[55.0, 55.0, 55.0], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(192, 192), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(192, 192),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])
        ])
]
val = dict(
    type=dataset_type,
    classes=classes,
    ann_file=data_root + 'annotations/val.json',
    img_prefix=data_root + 'val/',
    pipeline=test_pipeline)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=1,
    persistent_workers=True,
    train=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type=dataset_type,
                classes=classes,
                ann_file=data_root + 'annotations/clean.json',
                img_prefix=data_root + 'clean/',
                pipeline=train_pipeline),
            dict(
                type=dataset_type,
                classes=classes,
                ann_file=data_root + 'annotations/partial.json',
                img_prefix=data_root + 'partial/',
                pipeline=train_pipeline,
                directives={
                    'rpn_head.loss_weight': 0.5,
                    'roi_head.loss_weight': 0.5,
                    'ignore_negatives': 1
                })
        ]),
    val=val,
    test=val)
evaluation = dict(interval=3, metric='bbox')

optimizer = dict(type='AdamW', lr=0.001, weight_decay=0.05)
optimizer_config = dict(grad_clip=dict(max_norm=10, norm_type=2))
lr_config = dict(policy='CosineAnnealing', min_lr=0, warmup='linear', warmup_iters=50, warmup_ratio=0.01)
runner = dict(type='EpochBasedRunner', max_epochs=12)
checkpoint_config = dict(interval=1, max_keep_ckpts=2)
auto_scale_lr = dict(base_batch_size=4)
log_config = dict(interval=20, hooks=[dict(type='TextLoggerHook'), dict(type='TensorboardLoggerHook')])
