_base_ = './panoptic_fpn_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        type='Res2Net',
        init_cfg=dict(checkpoint='res2net50_v1b_26w_4s-3cf99910.pth'),
        scales=4,
        base_width=26))
fp16 = dict(loss_scale='dynamic')
