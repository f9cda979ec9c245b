# torchvision.models.detection.fasterrcnn_resnet50_fpn_v2: batch norm everywhere, two convolutions in the RPN, four and
# one fully connected layer in the box head
_base_ = './faster_rcnn_r50_fpn.py'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=norm_cfg, norm_eval=False),
    neck=dict(norm_cfg=norm_cfg),
    rpn_head=dict(num_convs=2),
    roi_head=dict(bbox_head=dict(type='Shared4Conv1FCBBoxHead', norm_cfg=norm_cfg)))
