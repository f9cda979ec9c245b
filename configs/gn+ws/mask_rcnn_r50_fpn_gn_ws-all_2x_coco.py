_base_ = '../mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py'
conv_cfg = dict(type='ConvWS')
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    backbone=dict(
        norm_cfg=dict(type='GN', num_groups=32),
        init_cfg=dict(checkpoint='open-mmlab://jhu/resnet50_gn_ws'),
        conv_cfg=dict(type='ConvWS')),
    neck=dict(conv_cfg=dict(type='ConvWS'), norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            conv_out_channels=256,
            conv_cfg=dict(type='ConvWS'),
            norm_cfg=norm_cfg),
        mask_head=dict(conv_cfg=dict(type='ConvWS'), norm_cfg=norm_cfg)))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
