_base_ = './solo_r50_fpn_3x_coco.py'
model = dict(mask_head=dict(type='DecoupledSOLOHead', loss_mask=dict(activate=False)))
