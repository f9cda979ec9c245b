_base_ = './mask_rcnn_x101_32x4d_fpn_1x_coco.py'
model = dict(backbone=dict(init_cfg=dict(checkpoint='open-mmlab://resnext101_64x4d'), groups=64))
