# Faster R-CNN from scratch on drawn shapes of which half of the boxes are missing in every image: once it finds most of
# the boxes that are there, its average completes the others. The data:
#   python tools/dataset_converters/make_shapes.py data/shapes
# `diagnose_with` judges the pseudo objects by the complete labels, for the log alone. See docs/teacher.md.
_base_ = './faster_rcnn_r18_fpn_mixed.py'

data_root = 'data/shapes/'
model = dict(
    teacher=dict(
        evaluate='teacher', proposals=100, diagnose_with=data_root + 'annotations/partial_complete.json'))

img_norm_cfg = dict(mean=[110.0, 110.0, 110.0], std=[55.0, 55.0, 55.0], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(192, 192), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
    dict(type='AddFieldToImgMetas', fields=['pseudo_labels'], values=['complete'])
]
data = dict(
    train=dict(
        _delete_=True,
        type='CocoDataset',
        classes=('disc', 'square', 'triangle'),
        ann_file=data_root + 'annotations/partial.json',
        img_prefix=data_root + 'partial/',
        pipeline=train_pipeline))
runner = dict(max_epochs=24)
evaluation = dict(interval=6)
