import math

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.objectness import mask_objectness
from mmdet.models.dense_heads.functional.points.points import decode_boxes, encode_boxes

PRIORS = torch.tensor([[8.0, 16, 8, 8], [16, 0, 16, 16]])


def build(**kwargs):
    torch.manual_seed(0)
    return HEADS.build(dict(CASES['YOLOXHead'], type='YOLOXHead') | kwargs)


def test_boxes_by_hand():
    deltas = torch.tensor([[0.5, -0.25, math.log(2), 0.0], [0, 1, 0, math.log(0.5)]])
    boxes = decode_boxes(PRIORS, deltas)
    # centres (12, 14) and (16, 16), sizes (16, 8) and (16, 8)
    torch.testing.assert_close(boxes, torch.tensor([[4.0, 10, 20, 18], [8, 12, 24, 20]]))
    torch.testing.assert_close(encode_boxes(PRIORS, boxes), deltas)


def test_first_probabilities_are_small_and_towers_as_asked_for():
    head = build(conv_bias=True, use_depthwise=True)
    head.init_weights()
    for layer in (*head.multi_level_conv_cls, *head.multi_level_conv_obj):
        torch.testing.assert_close(layer.bias.sigmoid(), torch.full_like(layer.bias, 0.01))
    assert type(head.multi_level_cls_convs[0][0]).__name__ == 'DepthwiseSeparableConvModule'
    with pytest.raises(ValueError, match="conv_bias: expected 'auto', True or False, got 'yes'"):
        build(conv_bias='yes')


def predictions(box=(0.5, 0.5, 0.0, 0.0), objectness=0.0):
    """Constant maps of a 2x2 and a 1x1 level: every cell predicts the box around its middle."""
    maps = [
        [torch.full((1, 3, s, s), 0.0), torch.tensor(box).view(1, 4, 1, 1).repeat(1, 1, s, s), torch.zeros(1, 1, s, s)]
        for s in (2, 1)
    ]
    cls, reg, obj = (list(kind) for kind in zip(*maps))
    return cls, reg, [level + objectness for level in obj]


def test_losses_by_hand():
    """One object that is exactly the box of the cell at the upper left: the other cells and levels are negatives."""
    head = build(train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=0.4)))
    head.use_l1 = True
    gts, labels = [torch.tensor([[0.0, 0, 8, 8]])], [torch.tensor([2])]
    losses = head.loss(*predictions(), gts, labels, [{}])
    log2 = math.log(2)
    assert {k: round(float(v), 4) for k, v in losses.items()} == dict(
        loss_cls=round(3 * log2, 4), loss_bbox=0.0, loss_obj=round(5 * log2, 4), loss_l1=0.0
    )
    # the box of half the width: IoU 0.5, and 5 * (1 - 0.25); the class target is the overlap
    preds = predictions((0.5, 0.5, math.log(0.5), 0.0))
    preds[0][0][:, 2] = 1.0
    losses = head.loss(*preds, gts, labels, [{}])
    of_class = 2 * log2 + math.log(1 + math.exp(1.0)) - 0.5 * 1.0
    assert float(losses['loss_bbox']) == pytest.approx(5 * 0.75, rel=1e-5)
    assert float(losses['loss_l1']) == pytest.approx(log2, rel=1e-5)
    assert float(losses['loss_cls']) == pytest.approx(of_class, rel=1e-5)


def test_l1_loss_only_once_it_is_switched_on():
    truth = [torch.tensor([[0.0, 0, 8, 8]])], [torch.tensor([2])]
    assert 'loss_l1' not in build().loss(*predictions(), *truth, [{}])


def test_detections_by_hand():
    head = build(test_cfg=dict(score_thr=0.2, nms=dict(type='nms', iou_threshold=0.65)))
    cls, reg, obj = predictions(objectness=-9.0)
    cls[0][0, 1, 1, 0], obj[0][0, 0, 1, 0] = 2.0, 1.0
    meta = dict(scale_factor=[2.0] * 4, img_shape=(16, 16, 3))
    ((dets, labels),) = head.get_bboxes(cls, reg, obj, [meta], rescale=True)
    score = torch.tensor(2.0).sigmoid() * torch.tensor(1.0).sigmoid()
    torch.testing.assert_close(dets, torch.tensor([[0.0, 4, 4, 8, float(score)]]))
    assert labels.tolist() == [1]
    ((boxes, scores, labels),) = head.get_bboxes(cls, reg, obj, [meta], with_nms=False)
    assert boxes.tolist() == [[0, 8, 8, 16]] and scores.tolist() == [pytest.approx(float(score))]


def test_image_without_detections_gives_empty_results():
    head = build(test_cfg=dict(score_thr=0.9, nms=dict(type='nms', iou_threshold=0.65)))
    ((dets, labels),) = head.get_bboxes(*predictions(), [dict(scale_factor=[1.0] * 4)])
    assert dets.shape == (0, 5) and labels.shape == (0,)


def test_negative_that_looks_like_an_unlabelled_class_is_no_evidence():
    head = HEADS.build(dict(CASES['YOLOXHead'], type='YOLOXHeadWithWeightPerImage'))
    like_the_second = torch.tensor([0.0, 3, 0])
    scores = torch.stack([torch.tensor([3.0, 0, 0]), *[like_the_second] * 3, *[like_the_second] * 2]).view(2, 3, 3)
    labels = torch.tensor([[3, 3, 1], [3, 3, 3]])
    metas = [dict(unlabeled_classes=[1]), {}]
    weights = mask_objectness(head, torch.zeros(2, 3), scores, labels, torch.ones(2, 3), metas)
    assert weights.tolist() == [[1, 0, 1], [1, 1, 1]]
    untouched = torch.ones(2, 3)
    assert mask_objectness(head, torch.zeros(2, 3), scores, labels, untouched, [{}, {}]) is untouched
