# What torchvision's two-stage detectors with ResNet50-FPN share: see docs/equivalence.md
_base_ = '../../_base_/models/faster_rcnn_r50_fpn.py'
model = dict(
    backbone=dict(norm_cfg=dict(requires_grad=False)),
    rpn_head=dict(
        anchor_generator=dict(
            _delete_=True,
            type='RoundedAnchorGenerator',
            level_sizes=[[32], [64], [128], [256], [512]],
            ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32, 64]),
        loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0)),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(sampling_ratio=2, aligned=False)),
        bbox_head=dict(loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(assigner=dict(type='OwnBestMaxIoUAssigner', min_pos_iou=0.0)),
        rpn_proposal=dict(max_per_img=2000, min_bbox_size=0.001),
        rcnn=dict(assigner=dict(match_low_quality=False))),
    test_cfg=dict(rpn=dict(min_bbox_size=0.001)))
