_base_ = 'retinanet_r50_fpn_1x_coco.py'
evaluation = dict(interval=10000)
lr_config = dict(step=[60000, 80000])
runner = dict(_delete_=True, type='IterBasedRunner', max_iters=90000)
checkpoint_config = dict(interval=10000)
