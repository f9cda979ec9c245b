# Keypoint R-CNN for one class, with the settings of Detectron2's person detectors
_base_ = './faster_rcnn_r50_fpn.py'
model = dict(
    type='KeypointRCNN',
    roi_head=dict(
        type='KeypointRoIHead',
        bbox_head=dict(num_classes=1, loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=0.5, loss_weight=1.0)),
        keypoint_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
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
        rpn_proposal=dict(max_per_img=1500),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5))))
