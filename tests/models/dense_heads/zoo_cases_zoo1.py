"""Small heads of the YOLO family and of point and corner heads, for sweeps over all dense heads.

Features: two maps (N, 4, 4, 4) and (N, 4, 2, 2) of strides 8 and 16, three classes, images of 32 by 32 px. A head with
fewer levels takes the first maps.
"""

GROUPS = dict(type='GN', num_groups=2)
FOCAL = dict(type='FocalLoss', use_sigmoid=True)
CASES = dict(
    YOLOXHead=dict(
        num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, strides=(8, 16), norm_cfg=GROUPS,
        train_cfg=dict(assigner=dict(type='SimOTAAssigner')),
        test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)),
    ),
)  # fmt: skip
LEVELS = {}  # number of levels where it is not 2
# the losses that negatives enter
OF_NEGATIVES = {'YOLOXHead': 'loss_obj'}
# the loss of "an object or not" knows no classes
OBJECTNESS = ('YOLOXHead',)
