"""Small heads of the YOLO family and of point and corner heads, for sweeps over all dense heads.

Features: two maps (N, 4, 4, 4) and (N, 4, 2, 2) of strides 8 and 16, three classes, images of 32 by 32 px. A head with
fewer levels takes the first maps.
"""

GROUPS = dict(type='GN', num_groups=2)
FOCAL = dict(type='FocalLoss', use_sigmoid=True)
SUMMED = ('loss_cls', 'loss_conf', 'loss_xy')
BEST = dict(nms_pre=100, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100)
PAIRS = dict(
    corner_topk=8, local_maximum_kernel=3, distance_threshold=9.0, max_per_img=8,
    nms=dict(type="nms", iou_threshold=0.9),
)  # fmt: skip
CASES = dict(
    YOLOXHead=dict(
        num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, strides=(8, 16), norm_cfg=GROUPS,
        train_cfg=dict(assigner=dict(type='SimOTAAssigner')),
        test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)),
    ),
    YOLOV3Head=dict(
        num_classes=3, in_channels=(4, 4), out_channels=(4, 4), featmap_strides=(8, 16), norm_cfg=GROUPS,
        anchor_generator=dict(
            type='YOLOAnchorGenerator', base_sizes=[[(10, 10), (14, 20)], [(20, 12), (24, 24)]], strides=[8, 16]
        ),
        train_cfg=dict(assigner=dict(type='GridAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0)),
        test_cfg=dict(score_thr=0.05, conf_thr=0.005, nms=dict(type='nms', iou_threshold=0.45), max_per_img=100),
        **{loss: dict(type='CrossEntropyLoss', use_sigmoid=True, reduction='sum') for loss in SUMMED},
        loss_wh=dict(type='MSELoss', reduction='sum'),
    ),
    YOLOFHead=dict(
        num_classes=3, in_channels=4, num_cls_convs=1, num_reg_convs=1, norm_cfg=GROUPS, reg_decoded_bbox=True,
        anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[1, 2], strides=[8]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', add_ctr_clamp=True, ctr_clamp=32),
        loss_cls=FOCAL, loss_bbox=dict(type='GIoULoss'),
        train_cfg=dict(
            assigner=dict(type='UniformAssigner', pos_ignore_thr=0.15, neg_ignore_thr=0.7), allowed_border=-1,
            pos_weight=-1, sampler=dict(type='PseudoSamplerWithIgnore'),
        ),
        test_cfg=BEST,
    ),
    CenterNetHead=dict(
        in_channel=4, feat_channel=4, num_classes=3, test_cfg=dict(topk=8, local_maximum_kernel=3, max_per_img=8)
    ),
    CornerHead=dict(num_classes=3, in_channels=4, num_feat_levels=1, test_cfg=PAIRS),
    CentripetalHead=dict(num_classes=3, in_channels=4, num_feat_levels=1, corner_emb_channels=0, test_cfg=PAIRS),
    RepPointsHead=dict(
        num_classes=3, in_channels=4, feat_channels=4, point_feat_channels=4, stacked_convs=1, point_strides=[8, 16],
        point_base_scale=1, loss_cls=FOCAL,
        train_cfg=dict(
            init=dict(assigner=dict(type='PointAssigner', scale=1, pos_num=1), allowed_border=-1, pos_weight=-1),
            refine=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0,
                                      ignore_iof_thr=-1), allowed_border=-1, pos_weight=-1),
        ),
        test_cfg=BEST,
    ),
    AutoAssignHead=dict(
        num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, strides=[8, 16], norm_cfg=GROUPS,
        loss_bbox=dict(type='GIoULoss', loss_weight=5.0), test_cfg=BEST,
    ),
    NASFCOSHead=dict(
        num_classes=3, in_channels=4, feat_channels=4, strides=[8, 16], norm_cfg=GROUPS,
        regress_ranges=((-1, 16), (16, 1e8)), test_cfg=BEST,
    ),
)  # fmt: skip
# number of levels where it is not 2
LEVELS = {
    'YOLOFHead': 1,
    'CenterNetHead': 1,
    'CornerHead': 1,
    'CentripetalHead': 1,
}
# the losses that negatives enter
OF_NEGATIVES = {
    'YOLOXHead': 'loss_obj',
    'YOLOV3Head': 'loss_conf',
    'YOLOFHead': 'loss_cls',
    'CenterNetHead': 'loss_center_heatmap',
    'CornerHead': 'det_loss',
    'CentripetalHead': 'det_loss',
    'RepPointsHead': 'loss_cls',
    'AutoAssignHead': 'loss_neg',
    'NASFCOSHead': 'loss_cls',
}
# the loss of "an object or not" knows no classes
OBJECTNESS = ('YOLOXHead', 'YOLOV3Head')
# losses that an image with a single object does not have
OF_PAIRS = ('push_loss',)
