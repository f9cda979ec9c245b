# COCO as published: a mini-batch of 8 images, 240k + 80k steps; a fourth, smaller anchor scale; negatives from IoU 0 on
_base_ = './faster_rcnn_vgg16_voc07.py'
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[4, 8, 16, 32])),
    roi_head=dict(bbox_head=dict(num_classes=80)),
    train_cfg=dict(rcnn=dict(assigner=dict(neg_iou_thr=0.5))))
dataset_type = 'CocoDataset'
data_root = 'data/coco/'
data = dict(
    samples_per_gpu=8,
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_train2017.json',
        img_prefix=data_root + 'train2017/'),
    val=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_val2017.json',
        img_prefix=data_root + 'val2017/'),
    test=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_val2017.json',
        img_prefix=data_root + 'val2017/'))
evaluation = dict(metric='bbox')
optimizer = dict(lr=0.003)
lr_config = dict(step=[240000])
runner = dict(max_iters=320000)
auto_scale_lr = dict(base_batch_size=8)
