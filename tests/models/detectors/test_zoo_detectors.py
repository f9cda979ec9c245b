"""Detectors of the zoo with parts of their own: teachers, prototypes, masks by location."""

import copy

import numpy as np
import pytest
import torch
from small_zoo import LAD, SOLO, STUDENT, YOLACT

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models.builder import DETECTORS, HEADS
from mmdet.models.directives import switch_directives_on

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
