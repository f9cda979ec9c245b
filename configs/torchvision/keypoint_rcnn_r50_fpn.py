# torchvision.models.detection.keypointrcnn_resnet50_fpn; its points are those of the file, without half a pixel
_base_ = [
    './_base_/two_stage_r50_fpn.py', '../_base_/datasets/coco_keypoints.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
model = dict(
    type='KeypointRCNN',
    roi_head=dict(
        type='KeypointRoIHead',
        bbox_head=dict(num_classes=1),
        keypoint_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2, aligned=False),
            out_channels=256,
            featmap_strides=[4, 8, 16, 32]),
        keypoint_head=dict(
            type='FCNKeypointHead',
            num_keypoints=17,
            num_convs=8,
            roi_feat_size=14,
            in_channels=256,
            conv_out_channels=512,
            skeleton='coco_person',
            loss_normaliser='visible',
            loss_keypoint=dict(type='CrossEntropyLoss', loss_weight=1.0))),
    train_cfg=dict(
        # what lies in a crowd is neither an object nor background
        rpn=dict(assigner=dict(ignore_iof_thr=0.5)),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5))),
    test_cfg=dict(rcnn=dict(keypoint_score='logit')))
data = dict(
    train=dict(keypoint_offset=0.0), val=dict(keypoint_offset=0.0), test=dict(keypoint_offset=0.0))
