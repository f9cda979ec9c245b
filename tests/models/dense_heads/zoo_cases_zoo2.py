"""Small heads for the sweeps over all dense heads: VFNet, PAA, TOOD, DDOD, LD, LAD, Ascend and YOLACT's box head.

``forward_train`` of a student's head takes one argument more, before the meta information: ``STUDENTS`` gives it.
``forward_train`` of SOLO's heads, ``MASK_HEADS``, takes masks in the place of boxes.
"""

import torch

GIOU = dict(type='GIoULoss', loss_weight=2.0)
FOCAL = dict(type='FocalLoss', use_sigmoid=True)
SMALL = dict(num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, norm_cfg=None)
SQUARES = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
ATSS = dict(assigner=dict(type='ATSSAssigner', topk=3), allowed_border=-1, pos_weight=-1)
BY_IOU = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.2, neg_iou_thr=0.2, min_pos_iou=0.0), allowed_border=-1,
    pos_weight=-1,
)  # fmt: skip
STDS = dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2])
ON_SQUARES = dict(SMALL, anchor_generator=SQUARES, loss_cls=FOCAL, loss_bbox=GIOU, bbox_coder=STDS)
PAA = dict(ON_SQUARES, train_cfg=BY_IOU, reg_decoded_bbox=True)
ALIGNED = dict(
    initial_epoch=0, initial_assigner=dict(type='ATSSAssigner', topk=3), allowed_border=-1, pos_weight=-1,
    assigner=dict(type='TaskAlignedAssigner', topk=4), alpha=1, beta=2,
)  # fmt: skip
TOOD = ON_SQUARES | dict(
    feat_channels=8, num_dcn=0, train_cfg=ALIGNED,
    loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, activated=True),
)  # fmt: skip
GFL = dict(SMALL, anchor_generator=SQUARES, loss_bbox=GIOU, reg_max=4, train_cfg=ATSS,
           loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True))  # fmt: skip
SSD = dict(
    num_classes=3, in_channels=(4, 4), feat_channels=4,
    anchor_generator=dict(
        type='SSDAnchorGenerator', scale_major=False, strides=[8, 16], ratios=[[2], [2, 3]], min_sizes=[10, 20],
        max_sizes=[20, 30],
    ),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, gt_max_assign_all=False
        ),
        smoothl1_beta=1.0, allowed_border=-1, pos_weight=-1, neg_pos_ratio=3,
    ),
)  # fmt: skip
ASCEND = dict(type='AscendMaxIoUAssigner', pos_iou_thr=0.3, neg_iou_thr=0.3, min_pos_iou=0.1)
CASES = dict(
    VFNetHead=dict(
        SMALL, strides=(8, 16), regress_ranges=((-1, 16), (16, 1e8)), train_cfg=ATSS,
        anchor_generator=dict(SQUARES, center_offset=0.0),
    ),
    PAAHead=PAA,
    LADHead=PAA,
    TOODHead=TOOD,
    DDODHead=ON_SQUARES | dict(
        stacked_convs=2, norm_cfg=dict(type='GN', num_groups=2),
        train_cfg=dict(
            assigner=dict(type='ATSSAssigner', topk=3, alpha=0.8),
            reg_assigner=dict(type='ATSSAssigner', topk=3, alpha=0.5), allowed_border=-1, pos_weight=-1,
        ),
    ),
    LDHead=dict(GFL, loss_ld=dict(type='KnowledgeDistillationKLDivLoss', loss_weight=0.25, T=10)),
    AscendRetinaHead=dict(SMALL, anchor_generator=SQUARES, loss_cls=FOCAL, train_cfg=dict(BY_IOU, assigner=ASCEND)),
)  # fmt: skip


GRIDS = dict(
    num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, strides=(8, 16), scale_ranges=((1, 20), (12, 64)),
    num_grids=[4, 2], norm_cfg=None, pos_scale=0.4, loss_cls=FOCAL, loss_mask=dict(type='DiceLoss'),
)  # fmt: skip
DECOUPLED = dict(GRIDS, loss_mask=dict(type='DiceLoss', activate=False))
FEATURES = dict(in_channels=4, feat_channels=4, start_level=0, end_level=1, out_channels=4, mask_stride=8)
MASK_HEADS = dict(
    SOLOHead=GRIDS, DecoupledSOLOHead=DECOUPLED, DecoupledSOLOLightHead=DECOUPLED,
    SOLOV2Head=dict(GRIDS, mask_feature_head=FEATURES),
)  # fmt: skip


def teacher_maps(feats):
    """What a teacher's GFL head might give for L maps (N, ...): scores and distributions of another kind."""
    generator = torch.Generator().manual_seed(5)
    return [None, [torch.randn(len(x), 20, *x.shape[-2:], generator=generator) for x in feats]]


STUDENTS = dict(LDHead=teacher_maps, LADHead=lambda feats: None)
