# Three COCO-format data sets of unequal quality. `own` is trusted. `borrowed` misses objects here and there: its images
# weigh less in either head, and a region without a box counts as background only as far as it touches a box.
# `elsewhere` annotates cars alone, under other names. See docs/partial_labels.md for which policy to take.
_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py', '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
classes = ['person', 'car', 'dog']
model = dict(directives=dict(weights=True), roi_head=dict(bbox_head=dict(num_classes=len(classes))))

data_root = 'data/'
train_pipeline = {{_base_.train_pipeline}}
own = dict(
    type='CocoDataset',
    name='own',
    ann_file=data_root + 'own/annotations/train.json',
    img_prefix=data_root + 'own/train/',
    pipeline=train_pipeline)
borrowed = dict(
    type='CocoDataset',
    name='borrowed',
    ann_file=data_root + 'borrowed/annotations/train.json',
    img_prefix=data_root + 'borrowed/train/',
    pipeline=train_pipeline,
    directives={
        'negatives': 'overlap',
        'rpn_head.loss_weight': 0.5,
        'roi_head.loss_weight': 0.5
    })
elsewhere = dict(
    type='CocoDataset',
    name='elsewhere',
    ann_file=data_root + 'elsewhere/annotations/train.json',
    img_prefix=data_root + 'elsewhere/train/',
    pipeline=train_pipeline,
    rename=dict(automobile='car', van='car'),
    # `labeled_classes` would be found by itself, as its file has no other class; the first stage knows no classes
    directives={
        'labeled_classes': ['car'],
        'rpn_head.negatives': dict(type='soft', weight=0.2)
    })
val = dict(
    classes=classes, ann_file=data_root + 'own/annotations/val.json', img_prefix=data_root + 'own/val/')
data = dict(
    samples_per_gpu=4,
    train=dict(_delete_=True, type='ConcatDataset', classes=classes, datasets=[own, borrowed, elsewhere]),
    train_dataloader=dict(source_ratio=[2, 1, 1]),
    val=val,
    test=val)
optimizer = dict(lr=0.005)
