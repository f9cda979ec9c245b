_base_ = './mask_rcnn_x50_32x4d_fpn_gn_ws-all_2x_coco.py'
lr_config = dict(step=[20, 23])
