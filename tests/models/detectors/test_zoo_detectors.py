"""Detectors of the zoo with parts of their own: teachers, prototypes, masks by location."""

import copy

import numpy as np
import pytest
import small_detectors  # noqa: F401 - registers the backbone
import torch

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models.builder import DETECTORS, HEADS
from mmdet.models.directives import switch_directives_on

BACKBONE = dict(type='TwoConvs')
SQUARES = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
FOCAL, GIOU = dict(type='FocalLoss', use_sigmoid=True), dict(type='GIoULoss')
COMMON = dict(num_classes=3, in_channels=4, feat_channels=4)
BY_IOU = dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.2, neg_iou_thr=0.2), allowed_border=-1, pos_weight=-1)
NMS = dict(nms_pre=20, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.6), max_per_img=5)
HEAD = dict(
    COMMON, stacked_convs=1, norm_cfg=None, anchor_generator=SQUARES, loss_cls=FOCAL, loss_bbox=GIOU,
)  # fmt: skip
GFL = dict(HEAD, loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True), reg_max=4)
ATSS = dict(assigner=dict(type='ATSSAssigner', topk=3), allowed_border=-1, pos_weight=-1)
STUDENT = dict(
    type='KnowledgeDistillationSingleStageDetector', backbone=BACKBONE, neck=None, train_cfg=ATSS, test_cfg=NMS,
    bbox_head=dict(GFL, type='LDHead', loss_ld=dict(type='KnowledgeDistillationKLDivLoss', T=10)),
    teacher_config=dict(model=dict(type='GFL', backbone=BACKBONE, bbox_head=dict(GFL, type='GFLHead'), test_cfg=NMS)),
)  # fmt: skip
LAD = dict(
    type='LAD', backbone=BACKBONE, neck=None, bbox_head=dict(HEAD, type='LADHead'), teacher_backbone=BACKBONE,
    teacher_neck=None, teacher_bbox_head=dict(HEAD, type='LADHead'), teacher_ckpt=None, train_cfg=BY_IOU, test_cfg=NMS,
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
BOXES = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [10, 1, 31, 26]])]
LABELS = [torch.tensor([1]), torch.tensor([0, 2])]
WEIGHTS = ('bbox_head.loss_weight', 'mask_head.loss_weight')


def build(cfg):
    torch.manual_seed(0)
    model = DETECTORS.build(copy.deepcopy(cfg))
    with torch.no_grad():
        for p in (p for p in model.parameters() if p.dim() > 1):
            p.copy_(torch.randn_like(p) * 0.2)
    return model


def batch(*fields, objects=True, masks=True):
    torch.manual_seed(1)
    shape = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), ori_shape=(64, 48, 3), scale_factor=np.ones(4) * 0.5)
    boxes = BOXES if objects else [torch.zeros(0, 4)] * 2
    bitmaps = [np.zeros((len(image), 32, 32), np.uint8) for image in boxes]
    for image, of_image in zip(boxes, bitmaps):
        for (x1, y1, x2, y2), mask in zip(image.int().tolist(), of_image):
            mask[y1:y2, x1:x2] = 1
    given = dict(
        img=torch.randn(2, 3, 32, 32), img_metas=[{**shape, **own} for own in fields or ({}, {})], gt_bboxes=boxes,
        gt_labels=LABELS if objects else [torch.zeros(0, dtype=torch.long)] * 2,
    )  # fmt: skip
    return dict(given, gt_masks=[BitmapMasks(m, 32, 32) for m in bitmaps]) if masks else given


def totals(losses):
    return {k: float(sum(x.sum() for x in v) if isinstance(v, list) else v) for k, v in losses.items()}


@pytest.mark.parametrize('cfg', [STUDENT, LAD], ids=['LD', 'LAD'])
def test_teacher_is_no_part_of_the_model_but_follows_it(cfg):
    model = build(cfg)
    assert not any('teacher' in name for name in model.state_dict())
    assert not any('teacher' in name for name, _ in model.named_modules())
    model.train()
    assert not model.teacher_model.training
    model.eval_teacher = False
    assert model.train().teacher_model.training
    assert all(p.dtype == torch.float64 for p in model.double().teacher_model.parameters())
    model.float()
    losses = model(**batch(masks=False))
    sum(v if torch.is_tensor(v) else sum(v) for v in losses.values()).backward()
    assert all(p.grad is None for p in model.teacher_model.parameters())
    results = model.eval().simple_test(batch()['img'], batch()['img_metas'])
    assert [len(image) for image in results] == [3, 3]


def test_teacher_is_read_from_files(tmp_path):
    model = build(STUDENT)
    torch.save(dict(state_dict=model.teacher_model.state_dict()), tmp_path / 'teacher.pth')
    (tmp_path / 'teacher.py').write_text(f'model = {STUDENT["teacher_config"]["model"]!r}\n')
    paths = dict(teacher_config=str(tmp_path / 'teacher.py'), teacher_ckpt=str(tmp_path / 'teacher.pth'))
    torch.manual_seed(9)
    other = DETECTORS.build(dict(copy.deepcopy(STUDENT), **paths))
    for key, value in model.teacher_model.state_dict().items():
        assert other.teacher_model.state_dict()[key].equal(value)


@pytest.mark.parametrize('cfg', [YOLACT, SOLO], ids=['YOLACT', 'SOLO'])
def test_losses_of_boxes_and_masks_are_linear_in_the_weights(cfg):
    weighted = build(switch_directives_on(cfg, {}, HEADS)).train()
    plain = totals(build(cfg).train()(**batch()))
    runs = {
        pair: totals(weighted(**batch(*(dict.fromkeys(WEIGHTS, w) for w in pair))))
        for pair in ((1, 1), (1, 0), (0, 1), (0.5, 3), (0, 0))
    }
    assert runs[1, 1] == plain
    for key, value in runs[0.5, 3].items():
        assert value == pytest.approx(0.5 * runs[1, 0][key] + 3 * runs[0, 1][key], rel=1e-4), key
        assert runs[1, 0][key] > 0 and runs[0, 1][key] > 0 == runs[0, 0][key], key


@pytest.mark.parametrize('cfg', [YOLACT, SOLO], ids=['YOLACT', 'SOLO'])
def test_batch_without_objects_gives_losses_that_reach_every_parameter(cfg):
    model = build(cfg).train()
    losses = model(**batch(objects=False))
    values = totals(losses)
    assert all(np.isfinite(value) for value in values.values()) and values['loss_mask'] == 0 < values['loss_cls']
    sum(v if torch.is_tensor(v) else sum(x.sum() for x in v) for v in losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('cfg', [YOLACT, SOLO], ids=['YOLACT', 'SOLO'])
def test_masks_have_the_original_images_size_and_stand_beside_their_boxes(cfg):
    model, given = build(cfg).eval(), batch()
    for boxes, masks in model.simple_test(given['img'], given['img_metas'], rescale=True):
        assert [len(of_class) for of_class in boxes] == [len(of_class) for of_class in masks]
        assert all(mask.shape == (64, 48) and mask.dtype == bool for of_class in masks for mask in of_class)
        assert 0 < sum(map(len, masks)) <= 5
    head = getattr(model, 'bbox_head', None) or model.mask_head
    head.test_cfg.score_thr = 1.0
    (boxes, masks), _ = model.simple_test(given['img'], given['img_metas'], rescale=True)
    assert [of_class.shape for of_class in boxes] == [(0, 5)] * 3 and masks == [[], [], []]
    with pytest.raises(NotImplementedError, match='no test with augmentation'):
        model.aug_test([given['img'][:1]] * 2, [given['img_metas'][:1]] * 2)


def test_yolact_without_masks_says_what_is_missing():
    with pytest.raises(ValueError, match='with_mask=True'):
        build(YOLACT).train()(**batch(masks=False))


def test_unlabelled_classes_have_no_gradient_at_pixels_without_object():
    head = HEADS.build(dict(YOLACT['segm_head'], type='YOLACTSegmHeadWithWeightPerImage'))
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    mask = torch.zeros(1, 8, 8)
    mask[:, :4] = 1
    head.loss(logits, [mask], [torch.tensor([2])], [dict(unlabeled_classes=[1])])['loss_segm'][0].backward()
    of_class = logits.grad.roll(1, dims=1)[0].abs()
    assert not of_class[1, 2:].any() and of_class[1, :2].all() and of_class[0].all() and of_class[2].all()
