_base_ = './vfnet_r50_fpn_mstrain_2x_coco.py'
model = dict(
    backbone=dict(
        type='Res2Net',
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://res2net101_v1d_26w_4s'),
        scales=4,
        base_width=26))
