"""Configs of detectors with a backbone of two convolutions."""

from torch import nn

from mmdet.models.builder import BACKBONES


@BACKBONES.register_module(force=True)
class TwoConvs(nn.Module):
    """Maps of 4 channels at strides 8 and 16."""

    def __init__(self, pretrained=None):
        super().__init__()
        self.pretrained = pretrained
        self.first, self.second = nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 4, 2, 2)

    def forward(self, img):
        feat = self.first(img)
        return feat, self.second(feat)


def matching(pos, neg, number, add):
    return dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=pos, neg_iou_thr=neg, min_pos_iou=neg),
        sampler=dict(type='RandomSampler', num=number, pos_fraction=0.5, add_gt_as_proposals=add),
        allowed_border=-1,
        pos_weight=-1,
    )


NMS = dict(type='nms', iou_threshold=0.5)
PROPOSALS = dict(nms_pre=50, max_per_img=20, nms=NMS, min_bbox_size=0)
RPN_HEAD = dict(
    type='RPNHead', in_channels=4, feat_channels=4,
    anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16]),
)  # fmt: skip
ROI_HEAD = dict(
    type='StandardRoIHead',
    bbox_roi_extractor=dict(
        type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=1), out_channels=4,
        featmap_strides=[8, 16],
    ),
    bbox_head=dict(type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=8, roi_feat_size=2, num_classes=3),
)  # fmt: skip
RETINA = dict(
    type='RetinaHead', num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1,
    anchor_generator=RPN_HEAD['anchor_generator'], loss_cls=dict(type='FocalLoss', use_sigmoid=True),
)  # fmt: skip
RCNN_TEST = dict(score_thr=0.0, nms=NMS, max_per_img=5)

CONFIGS = dict(
    rpn=dict(
        type='RPN', backbone=dict(type='TwoConvs'), neck=None, rpn_head=RPN_HEAD,
        train_cfg=dict(rpn=matching(0.7, 0.3, 32, False)), test_cfg=dict(rpn=PROPOSALS),
    ),
    faster_rcnn=dict(
        type='FasterRCNN', backbone=dict(type='TwoConvs'), rpn_head=RPN_HEAD, roi_head=ROI_HEAD,
        train_cfg=dict(
            rpn=matching(0.7, 0.3, 32, False), rpn_proposal=PROPOSALS, rcnn=matching(0.5, 0.5, 16, True)
        ),
        test_cfg=dict(rpn=PROPOSALS, rcnn=RCNN_TEST),
    ),
    fast_rcnn=dict(
        type='FastRCNN', backbone=dict(type='TwoConvs'), roi_head=ROI_HEAD,
        train_cfg=dict(rcnn=matching(0.5, 0.5, 16, True)), test_cfg=dict(rcnn=RCNN_TEST),
    ),
    retinanet=dict(
        type='RetinaNet', backbone=dict(type='TwoConvs'), neck=None, bbox_head=RETINA,
        train_cfg=matching(0.5, 0.4, 32, False) | dict(sampler=None),
        test_cfg=dict(nms_pre=50, score_thr=0.0, nms=NMS, max_per_img=5),
    ),
)  # fmt: skip

_EXTRACTOR = ROI_HEAD['bbox_roi_extractor']
CONFIGS['keypoint_rcnn'] = CONFIGS['faster_rcnn'] | dict(
    type='KeypointRCNN',
    roi_head=ROI_HEAD | dict(
        type='KeypointRoIHead',
        keypoint_roi_extractor=_EXTRACTOR | dict(roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0)),
        keypoint_head=dict(
            type='FCNKeypointHead', num_keypoints=5, num_convs=1, roi_feat_size=3, in_channels=4,
            conv_out_channels=4, skeleton='shape',
        ),
    ),
)  # fmt: skip
