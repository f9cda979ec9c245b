_base_ = [
    '../_base_/models/mask_rcnn_r50_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py'
]
dataset_type = 'LVISV1Dataset'
data_root = 'data/lvis_v1/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='Resize',
        img_scale=[(1333, 640), (1333, 672), (1333, 704), (1333, 736), (1333, 768), (1333, 800)],
        multiscale_mode='value',
        keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks'])
]
model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=1203,
            loss_cls=dict(type='SeesawLoss', p=0.8, q=2.0, num_classes=1203),
            cls_predictor_cfg=dict(type='NormedLinear', tempearture=20)),
        mask_head=dict(num_classes=1203)),
    test_cfg=dict(rcnn=dict(score_thr=0.0001, max_per_img=300)))
data = dict(
    train=dict(
        type='LVISV1Dataset',
        ann_file='data/lvis_v1/annotations/lvis_v1_train.json',
        img_prefix='data/lvis_v1/',
        pipeline=train_pipeline),
    val=dict(
        type='LVISV1Dataset',
        ann_file='data/lvis_v1/annotations/lvis_v1_val.json',
        img_prefix='data/lvis_v1/'),
    test=dict(
        type='LVISV1Dataset',
        ann_file='data/lvis_v1/annotations/lvis_v1_val.json',
        img_prefix='data/lvis_v1/'))
evaluation = dict(interval=24)
