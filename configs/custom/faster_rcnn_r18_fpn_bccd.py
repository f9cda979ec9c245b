# Blood cells (BCCD), a small real data set in which many red cells are not annotated. Convert it first:
# python tools/dataset_converters/pascal_voc.py data/bccd --out-dir data/bccd/annotations --out-format coco
_base_ = './faster_rcnn_r18_fpn_small_coco.py'

classes = ('RBC', 'WBC', 'Platelets')
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))

dataset_type = 'CocoDataset'
data_root = 'data/bccd/'
img_norm_cfg = dict(mean=[170.0, 150.0, 175.0], std=[40.0, 45.0, 30.0], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(320, 240), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5, direction=['horizontal', 'vertical']),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(320, 240),
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
train = dict(
    _delete_=True,
    type=dataset_type,
    classes=classes,
    ann_file=data_root + 'annotations/train.json',
    img_prefix=data_root,
    pipeline=train_pipeline)
test = dict(
    _delete_=True,
    type=dataset_type,
    classes=classes,
    ann_file=data_root + 'annotations/test.json',
    img_prefix=data_root,
    pipeline=test_pipeline)
data = dict(persistent_workers=True, train=train, val=dict(test, ann_file=data_root + 'annotations/val.json'), test=test)
evaluation = dict(interval=5)
runner = dict(max_epochs=15)
