# Keypoint R-CNN from scratch on drawn shapes: the corners and the centre of each. See docs/keypoint_rcnn.md.
_base_ = ['../_base_/models/keypoint_rcnn_r50_fpn.py', '../_base_/default_runtime.py']

classes = ('disc', 'square', 'triangle')
model = dict(
    backbone=dict(depth=18, stem_channels=32, base_channels=32, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, norm_cfg=dict(type='BN', requires_grad=True)),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(sampling_ratio=2), out_channels=64, finest_scale=28),
        bbox_head=dict(in_channels=64, fc_out_channels=256, reg_class_agnostic=True, num_classes=len(classes)),
        keypoint_roi_extractor=dict(roi_layer=dict(sampling_ratio=2), out_channels=64, finest_scale=28),
        keypoint_head=dict(num_keypoints=5, num_convs=4, in_channels=64, conv_out_channels=64, skeleton='shape')),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=64, pos_fraction=0.5))),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=20)))

dataset_type = 'CocoKeypointDataset'
data_root = 'data/shapes/'
img_norm_cfg = dict(mean=[110.0, 110.0, 110.0], std=[55.0, 55.0, 55.0], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_keypoints=True),
    dict(type='Resize', img_scale=(192, 192), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_bboxes_ignore', 'gt_keypoints'])
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
    skeleton='shape',
    ann_file=data_root + 'annotations/val.json',
    img_prefix=data_root + 'val/',
    pipeline=test_pipeline)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=1,
    persistent_workers=True,
    train=dict(
        type=dataset_type,
        classes=classes,
        skeleton='shape',
        ann_file=data_root + 'annotations/clean.json',
        img_prefix=data_root + 'clean/',
        pipeline=train_pipeline),
    val=val,
    test=val)
evaluation = dict(interval=3, metric=['bbox', 'keypoints'], save_best='keypoints_mAP')

optimizer = dict(type='AdamW', lr=0.001, weight_decay=0.05)
optimizer_config = dict(grad_clip=dict(max_norm=10, norm_type=2))
lr_config = dict(policy='CosineAnnealing', min_lr=0, warmup='linear', warmup_iters=50, warmup_ratio=0.01)
runner = dict(type='EpochBasedRunner', max_epochs=12)
checkpoint_config = dict(interval=1, max_keep_ckpts=2)
log_config = dict(interval=20, hooks=[dict(type='TextLoggerHook'), dict(type='TensorboardLoggerHook')])
