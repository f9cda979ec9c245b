_base_ = './reppoints_moment_r50_fpn_gn-neck+head_2x_coco.py'
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
