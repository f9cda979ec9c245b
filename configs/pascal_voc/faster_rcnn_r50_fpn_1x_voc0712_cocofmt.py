_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py',
    '../_base_/datasets/voc0712.py',
    '../_base_/default_runtime.py'
]
dataset_type = 'CocoDataset'
CLASSES = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
    'tvmonitor')
model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
data = dict(
    train=dict(
        dataset=dict(
            type='CocoDataset',
            ann_file='data/voc0712_trainval.json',
            img_prefix='data/VOCdevkit',
            classes=CLASSES)),
    val=dict(
        type='CocoDataset',
        ann_file='data/voc07_test.json',
        img_prefix='data/VOCdevkit',
        classes=CLASSES),
    test=dict(
        type='CocoDataset',
        ann_file='data/voc07_test.json',
        img_prefix='data/VOCdevkit',
        classes=CLASSES))
evaluation = dict(metric='bbox')
optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='step', step=[3])
runner = dict(type='EpochBasedRunner', max_epochs=4)
