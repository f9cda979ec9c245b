_base_ = '../htc/htc_r50_fpn_1x_coco.py'
lr_config = dict(step=[16, 19])
runner = dict(max_epochs=20)
model = dict(
    backbone=dict(
        type='Res2Net',
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://res2net101_v1d_26w_4s'),
        scales=4,
        base_width=26))
