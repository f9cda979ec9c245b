_base_ = './fcos_r50_caffe_fpn_gn-head_1x_coco.py'
data = dict(samples_per_gpu=8, workers_per_gpu=8)
optimizer = dict(lr=0.04)
lr_config = dict(warmup='linear', warmup_iters=1000, warmup_ratio=0.1)
fp16 = dict(loss_scale='dynamic')
