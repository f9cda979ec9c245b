# Three COCO-format data sets that a teacher completes: in `borrowed` objects were forgotten here and there, `elsewhere`
# annotates cars alone, `raw` has no annotations. `own` is complete and stays as it is. See docs/teacher.md.
_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py', '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
classes = ['person', 'car', 'dog']
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=len(classes))),
    teacher=dict(
        evaluate='teacher',  # tests run the average, not the trained weights
        momentum=0.999,  # what a step leaves of the average
        burn_in=dict(recall=0.3, wait=20),  # or a number of steps
        precision=0.6,  # of detections of a score, from which on they become objects
        ignore_precision=0.2,  # the same, from which on they are no background
        missing=None,  # fraction of the objects that `borrowed` lacks, where find_label_errors.py has told it
        box_loss=0.0))  # what pseudo objects count in losses of boxes

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
    # regions that touch no box count less as background, before the teacher begins and afterwards
    directives=dict(pseudo_labels='complete', negatives='overlap'))
elsewhere = dict(
    type='CocoDataset',
    name='elsewhere',
    ann_file=data_root + 'elsewhere/annotations/train.json',
    img_prefix=data_root + 'elsewhere/train/',
    pipeline=train_pipeline,
    directives=dict(pseudo_labels='complete', labeled_classes=['car']))  # persons and dogs alone are completed
raw = dict(
    type='CocoDataset',
    name='raw',
    ann_file=data_root + 'raw/images.json',  # images, no annotations
    img_prefix=data_root + 'raw/images/',
    pipeline=train_pipeline,
    filter_empty_gt=False,
    directives=dict(pseudo_labels='complete'))
val = dict(
    classes=classes, ann_file=data_root + 'own/annotations/val.json', img_prefix=data_root + 'own/val/')
data = dict(
    samples_per_gpu=4,
    train=dict(_delete_=True, type='ConcatDataset', classes=classes, datasets=[own, borrowed, elsewhere, raw]),
    train_dataloader=dict(source_ratio=[2, 1, 1, 1]),
    val=val,
    test=val)
optimizer = dict(lr=0.005)
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='TeacherPicturesHook', interval=1000, num_images=4)  # also in TensorBoard, where the run has it
]
