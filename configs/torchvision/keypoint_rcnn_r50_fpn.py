# torchvision.models.detection.keypointrcnn_resnet50_fpn; its points are those of the file, without half a pixel
_base_ = [
    '../_base_/models/keypoint_rcnn_r50_fpn.py', '../_base_/datasets/coco_keypoints.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
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
        bbox_head=dict(loss_bbox=dict(beta=1.0 / 9.0)),
        keypoint_roi_extractor=dict(roi_layer=dict(sampling_ratio=2, aligned=False))),
    train_cfg=dict(
        rpn=dict(assigner=dict(type='OwnBestMaxIoUAssigner', min_pos_iou=0.0)),
        rpn_proposal=dict(max_per_img=2000, min_bbox_size=0.001),
        rcnn=dict(assigner=dict(match_low_quality=False))),
    test_cfg=dict(rpn=dict(min_bbox_size=0.001), rcnn=dict(keypoint_score='logit')))
data = dict(
    train=dict(keypoint_offset=0.0), val=dict(keypoint_offset=0.0), test=dict(keypoint_offset=0.0))
