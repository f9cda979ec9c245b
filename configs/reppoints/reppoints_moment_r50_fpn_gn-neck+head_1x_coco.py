_base_ = './reppoints_moment_r50_fpn_1x_coco.py'
model = dict(
    neck=dict(norm_cfg=dict(type='GN', num_groups=32, requires_grad=True)),
    bbox_head=dict(norm_cfg=dict(type='GN', num_groups=32, requires_grad=True))
)
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
