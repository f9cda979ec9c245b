# Two COCO-format data sets of unequal quality. `complete` is trusted. `borrowed` lacks boxes: its images weigh less in
# either head, and none of their regions counts as background.
_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py', '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
model = dict(
    rpn_head=dict(type='RPNHeadWithWeightPerImage'),
    roi_head=dict(bbox_head=dict(type='Shared2FCBBoxHeadWithWeightPerImage')),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='RandomSamplerWithIgnore')),
        rcnn=dict(sampler=dict(type='RandomSamplerWithIgnore'))))

data_root = 'data/coco/'
borrowed_root = 'data/borrowed/'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
]
borrowed_pipeline = train_pipeline + [
    dict(
        type='AddFieldToImgMetas',
        fields=['rpn_head.loss_weight', 'roi_head.loss_weight', 'ignore_negatives'],
        values=[0.5, 0.5, 1])
]
data = dict(
    train=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='CocoDataset',
                ann_file=data_root + 'annotations/instances_train2017.json',
                img_prefix=data_root + 'train2017/',
                pipeline=train_pipeline),
            dict(
                type='CocoDataset',
                ann_file=borrowed_root + 'annotations/instances_train.json',
                img_prefix=borrowed_root + 'train/',
                pipeline=borrowed_pipeline)
        ]))
