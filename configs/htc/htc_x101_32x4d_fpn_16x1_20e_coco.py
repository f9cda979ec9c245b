_base_ = './htc_r50_fpn_1x_coco.py'
data = dict(samples_per_gpu=1, workers_per_gpu=1)
lr_config = dict(step=[16, 19])
runner = dict(max_epochs=20)
model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://resnext101_32x4d'),
        groups=32,
        base_width=4))
