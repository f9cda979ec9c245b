_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py',
    '../_base_/datasets/objects365v1_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=dict(type='SyncBN')),
    roi_head=dict(bbox_head=dict(num_classes=365)))
evaluation = dict(interval=150000)
optimizer_config = dict(grad_clip=dict(_delete_=True, max_norm=35, norm_type=2))
lr_config = dict(warmup_iters=1000, step=[900000, 1200000])
runner = dict(_delete_=True, type='IterBasedRunner', max_iters=1350000)
checkpoint_config = dict(interval=150000)
