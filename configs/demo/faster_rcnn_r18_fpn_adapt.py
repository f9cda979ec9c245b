# Faster R-CNN from scratch on drawn shapes, adapted to another look of them: `clean` of the source is annotated, the
# target's images are used without any annotation, and its validation set tells what came of it. The data:
#   python tools/dataset_converters/make_shapes.py data/shapes
#   python tools/dataset_converters/make_shapes.py data/shapes_dusk --style dusk --seed 1
# See docs/domain_adaptation.md.
_base_ = './faster_rcnn_r18_fpn_mixed.py'

model = dict(
    train_cfg=dict(
        domain=dict(
            image=dict(in_channels=64, hidden_channels=128, loss_weight=0.1),
            instance=dict(in_channels=64, hidden_channels=128, loss_weight=0.1),
            consistency_weight=0.1,
            levels=[0, 1, 2, 3],
            num_rois=64,
            reversal=dict(policy='sigmoid', value=1.0, gamma=10.0))))

classes = ('disc', 'square', 'triangle')
dataset_type = 'CocoDataset'
source_root = 'data/shapes/'
target_root = 'data/shapes_dusk/'
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
target_pipeline = train_pipeline + [dict(type='MarkUnlabelled', domain=1)]
source = dict(
    type=dataset_type,
    classes=classes,
    ann_file=source_root + 'annotations/clean.json',
    img_prefix=source_root + 'clean/',
    pipeline=train_pipeline,
    directives=dict(domain=0))
target = dict(
    type=dataset_type,
    classes=classes,
    ann_file=target_root + 'annotations/clean.json',
    img_prefix=target_root + 'clean/',
    filter_empty_gt=False,
    pipeline=target_pipeline)
val = dict(ann_file=target_root + 'annotations/val.json', img_prefix=target_root + 'val/')
data = dict(
    train=dict(_delete_=True, type='ConcatDataset', datasets=[source, target]),
    val=val,
    test=val)

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='FeatureMapHook', modules=['neck'], interval=500),
    dict(type='EmbeddingProjectionHook', interval=500),
]
