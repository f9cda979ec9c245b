_base_ = './fovea_r50_fpn_4x4_1x_coco.py'
optimizer_config = dict(grad_clip=dict(_delete_=True, max_norm=35, norm_type=2))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
model = dict(
    bbox_head=dict(with_deform=True, norm_cfg=dict(type='GN', num_groups=32, requires_grad=True)))
