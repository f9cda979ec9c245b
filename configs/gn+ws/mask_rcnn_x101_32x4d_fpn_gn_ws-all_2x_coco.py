_base_ = './mask_rcnn_r50_fpn_gn_ws-all_2x_coco.py'
model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://jhu/resnext101_32x4d_gn_ws'),
        groups=32,
        base_width=4))
