# torchvision.models.detection.fasterrcnn_mobilenet_v3_large_fpn: two levels of stride 32 and one of 64, fifteen anchors
# in each place
_base_ = './faster_rcnn_r50_fpn.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV3',
        arch='large_split',
        out_indices=(4, 6),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://mobilenet_v3_large')),
    neck=dict(in_channels=[160, 960], num_outs=3),
    rpn_head=dict(
        anchor_generator=dict(level_sizes=[[32, 64, 128, 256, 512]] * 3, strides=[32, 32, 64])),
    # by size nothing falls on any level but the first
    roi_head=dict(bbox_roi_extractor=dict(featmap_strides=[32])),
    test_cfg=dict(rpn=dict(min_score=0.05)))
