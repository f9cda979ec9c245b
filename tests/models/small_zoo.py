"""Whole detectors of the zoo in small: the heads of the sweeps over dense heads on a backbone of two convolutions."""

import copy
import sys
from pathlib import Path

import torch
from small_detectors import TwoConvs

from mmdet.models.builder import NECKS

sys.path.append(str(Path(__file__).parent / 'dense_heads'))
from zoo_cases_zoo1 import CASES as OF_POINTS  # noqa: E402 - found by the line above
from zoo_cases_zoo1 import LEVELS  # noqa: E402
from zoo_cases_zoo2 import ASCEND, MASK_HEADS, SSD, STUDENTS  # noqa: E402
from zoo_cases_zoo2 import CASES as OF_ANCHORS  # noqa: E402
from zoo_cases_zoo3 import CASES as MASK_QUERIES  # noqa: E402

BACKBONE = dict(type=TwoConvs.__name__)
SQUARES = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
FOCAL, GIOU = dict(type='FocalLoss', use_sigmoid=True), dict(type='GIoULoss')
COMMON = dict(num_classes=3, in_channels=4, feat_channels=4)
BY_IOU = dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.2, neg_iou_thr=0.2), allowed_border=-1, pos_weight=-1)
BEST = dict(nms_pre=20, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.6), max_per_img=5)
HEAD = dict(
    COMMON, stacked_convs=1, norm_cfg=None, anchor_generator=SQUARES, loss_cls=FOCAL, loss_bbox=GIOU,
)  # fmt: skip
GFL = dict(HEAD, loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True), reg_max=4)
ATSS = dict(assigner=dict(type='ATSSAssigner', topk=3), allowed_border=-1, pos_weight=-1)
STUDENT = dict(
    type='KnowledgeDistillationSingleStageDetector', backbone=BACKBONE, neck=None, train_cfg=ATSS, test_cfg=BEST,
    bbox_head=dict(GFL, type='LDHead', loss_ld=dict(type='KnowledgeDistillationKLDivLoss', T=10)),
    teacher_config=dict(model=dict(type='GFL', backbone=BACKBONE, bbox_head=dict(GFL, type='GFLHead'), test_cfg=BEST)),
)  # fmt: skip
LAD = dict(
    type='LAD', backbone=BACKBONE, neck=None, bbox_head=dict(HEAD, type='LADHead'), teacher_backbone=BACKBONE,
    teacher_neck=None, teacher_bbox_head=dict(HEAD, type='LADHead'), teacher_ckpt=None, train_cfg=BY_IOU, test_cfg=BEST,
)  # fmt: skip
YOLACT = dict(
    type='YOLACT', backbone=BACKBONE, neck=None,
    bbox_head=dict(COMMON, type='YOLACTHead', num_protos=4, anchor_generator=SQUARES),
    mask_head=dict(type='YOLACTProtonet', num_classes=3, in_channels=4, proto_channels=(4, None, 4), num_protos=4,
                   proto_kernel_sizes=(3, -2, 1)),
    segm_head=dict(type='YOLACTSegmHead', num_classes=3, in_channels=4),
    train_cfg=dict(BY_IOU, neg_pos_ratio=3),
    test_cfg=dict(nms_pre=20, score_thr=0.0, iou_thr=0.5, top_k=10, max_per_img=5),
)  # fmt: skip
SOLO = dict(
    type='SOLO', backbone=BACKBONE,
    mask_head=dict(COMMON, type='SOLOHead', stacked_convs=1, strides=(16, 8), scale_ranges=((1, 20), (12, 64)),
                   num_grids=[4, 2], norm_cfg=None, loss_cls=FOCAL, loss_mask=dict(type='DiceLoss')),
    test_cfg=dict(nms_pre=10, score_thr=0.0, mask_thr=0.3, filter_thr=0.0, kernel='gaussian', sigma=2.0, max_per_img=5),
)  # fmt: skip
PISA = dict(isr=dict(k=2.0, bias=0.0), carl=dict(k=1.0, bias=0.2))
# detectors whose names are not those of their heads
NAMES = dict(
    CornerHead='CornerNet', CentripetalHead='CornerNet', RepPointsHead='RepPointsDetector',
    AscendRetinaHead='RetinaNet', PISASSDHead='SingleStageDetector', AscendSSDHead='SingleStageDetector',
    SOLOV2Head='SOLOv2',    DecoupledSOLOHead='SOLO', DecoupledSOLOLightHead='SOLO',
)  # fmt: skip


@NECKS.register_module(force=True)
class FirstMaps(torch.nn.Module):
    """Hands on the first maps, for heads of fewer levels than the backbone has."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, feats: tuple) -> tuple:
        unused = sum(feat.sum() for feat in feats[self.number :])  # keeps their parameters in the graph
        return tuple(feat + 0.0 * unused for feat in feats[: self.number])


def with_head(kind: str, settings: dict) -> dict:
    """The config of the detector that a dense head of the sweeps belongs to."""
    head = dict(copy.deepcopy(settings), type=kind)
    neck = dict(type='FirstMaps', number=LEVELS[kind]) if kind in LEVELS else None
    parts = dict(type=NAMES.get(kind, kind.removesuffix('Head')), backbone=BACKBONE, neck=neck)
    slot = 'mask_head' if kind in MASK_HEADS else 'bbox_head'
    test_cfg = head.pop('test_cfg', SOLO['test_cfg'] if kind in MASK_HEADS else BEST)
    return dict(parts, train_cfg=head.pop('train_cfg', None), test_cfg=test_cfg, **{slot: head})


def with_mask_queries(kind: str, **test_cfg: object) -> dict:
    """The config of MaskFormer or Mask2Former, for two classes of things and one of stuff."""
    head = dict(copy.deepcopy(MASK_QUERIES[f'{kind}Head']), type=f'{kind}Head')
    fusion = dict(type='MaskFormerFusionHead', num_things_classes=2, num_stuff_classes=1)
    parts = dict(type=kind, backbone=BACKBONE, panoptic_head=head, panoptic_fusion_head=fusion)
    return dict(parts, train_cfg=head.pop('train_cfg'), test_cfg=test_cfg)


# by their heads
DENSE = {kind: with_head(kind, cfg) for kind, cfg in {**OF_POINTS, **OF_ANCHORS}.items() if kind not in STUDENTS}
MASKS = {kind: with_head(kind, cfg) for kind, cfg in MASK_HEADS.items()} | dict(YOLACTHead=YOLACT)
OF_SSD = dict(
    PISASSDHead=with_head('PISASSDHead', SSD | dict(train_cfg=SSD['train_cfg'] | PISA)),
    AscendSSDHead=with_head('AscendSSDHead', SSD | dict(train_cfg=SSD['train_cfg'] | dict(assigner=ASCEND))),
)
TAUGHT = dict(LDHead=STUDENT, LADHead=LAD)
