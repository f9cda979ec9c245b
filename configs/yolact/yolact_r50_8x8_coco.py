_base_ = 'yolact_r50_1x8_coco.py'
auto_scale_lr = dict(base_batch_size=64)
optimizer = dict(lr=0.008)
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(warmup_iters=1000)
