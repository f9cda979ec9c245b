_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=dict(type='GN', num_groups=32),
        init_cfg=None,
        zero_init_residual=False),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=norm_cfg)))
optimizer = dict(paramwise_cfg=dict(norm_decay_mult=0))
lr_config = dict(warmup_ratio=0.1, step=[65, 71])
runner = dict(max_epochs=73)
