_base_ = '../mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        norm_cfg=dict(type='GN', num_groups=32),
        init_cfg=dict(checkpoint='open-mmlab://contrib/resnet50_gn')),
    neck=dict(norm_cfg=dict(type='GN', num_groups=32, requires_grad=True)),
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            conv_out_channels=256,
            norm_cfg=dict(type='GN', num_groups=32, requires_grad=True)),
        mask_head=dict(norm_cfg=dict(type='GN', num_groups=32, requires_grad=True))))
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
