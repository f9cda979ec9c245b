_base_ = './mask2former_swin-t-p4-w7-224_lsj_8x2_50e_coco-panoptic.py'
pretrained = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_small_patch4_window7_224.pth'
depths = [2, 2, 18, 2]
model = dict(
    backbone=dict(depths=depths, init_cfg=dict(type='Pretrained', checkpoint=pretrained)))
backbone_norm_multi = dict(lr_mult=0.1, decay_mult=0.0)
custom_keys = {
    f'backbone.stages.2.blocks.{block}.norm': backbone_norm_multi
    for block in range(6, depths[2])
}
optimizer = dict(paramwise_cfg=dict(custom_keys=custom_keys))
