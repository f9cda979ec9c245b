_base_ = 'retinanet_pvtv2-b0_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        embed_dims=64,
        num_layers=[3, 6, 40, 3],
        init_cfg=dict(
            checkpoint='https://github.com/whai362/PVT/releases/download/v2/pvt_v2_b5.pth'),
        mlp_ratios=(4, 4, 4, 4)),
    neck=dict(in_channels=[64, 128, 320, 512]))
data = dict(samples_per_gpu=1, workers_per_gpu=1)
optimizer = dict(lr=7.142857142857143e-05)
auto_scale_lr = dict(base_batch_size=8)
