import math

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS

# one level of 2x2 cells of 8 px with two anchors a cell, (8, 8) and (16, 8)
ONE_LEVEL = dict(
    in_channels=(4,), out_channels=(4,), featmap_strides=(8,),
    anchor_generator=dict(type='YOLOAnchorGenerator', base_sizes=[[(8, 8), (16, 8)]], strides=[8]),
)  # fmt: skip
GTS, LABELS = [torch.tensor([[8.0, 2, 16, 10]])], [torch.tensor([2])]  # centre (12, 6): the cell at the upper right
SHAPE = dict(img_shape=(16, 16, 3), scale_factor=[2.0] * 4, flip=False, flip_direction=None)


def build(**kwargs):
    torch.manual_seed(0)
    return HEADS.build(dict(CASES['YOLOV3Head'], type='YOLOV3Head') | kwargs)


def targets_of(head, gts=GTS, labels=LABELS):
    anchors = head.prior_generator.grid_priors([(2, 2)], device='cpu')
    flags = [head.prior_generator.responsible_flags([(2, 2)], gt, 'cpu') for gt in gts]
    return head.get_targets([anchors] * len(gts), flags, gts, labels)


def test_targets_by_hand():
    (targets,), (negatives,) = targets_of(build(**ONE_LEVEL))
    assert targets.shape == (1, 8, 8)
    # the object is 8 by 8, 2 px below the anchor's centre: (6 - 4) / 8 + 0.5
    assert targets[0, 2].tolist() == pytest.approx([0.5, 0.75, 0, 0, 1, 0, 0, 1])
    assert targets[0, [0, 1, 3, 4, 5, 6, 7]].abs().sum() == 0
    # the wide anchor of the cell overlaps it by less than 0.5
    assert negatives[0].tolist() == [1, 1, 0, 1, 1, 1, 1, 1]


def test_smoothed_classes():
    (targets,), _ = targets_of(build(one_hot_smoother=0.3, **ONE_LEVEL))
    assert targets[0, 2, 5:].tolist() == pytest.approx([0.1, 0.1, 0.8])
    with pytest.raises(ValueError, match='one_hot_smoother'):
        build(one_hot_smoother=1.0)


def test_losses_by_hand():
    head = build(**ONE_LEVEL)
    losses = head.loss([torch.zeros(1, 16, 2, 2)], GTS, LABELS, [SHAPE])
    log2 = math.log(2)
    wanted = dict(loss_cls=3 * log2, loss_conf=8 * log2, loss_xy=2 * log2, loss_wh=0.0)
    assert {key: float(value[0]) for key, value in losses.items()} == pytest.approx(wanted)


def test_level_loss_without_weights_counts_each_anchor_once():
    head = build(**ONE_LEVEL)
    (targets,), (negatives,) = targets_of(head)
    log2 = math.log(2)
    got = head.loss_single(torch.zeros(1, 16, 2, 2), targets, negatives)
    assert [float(v) for v in got] == pytest.approx([3 * log2, 8 * log2, 2 * log2, 0])


def test_anchor_that_is_neither_positive_nor_negative_has_no_part():
    gts = [torch.tensor([[9.0, 0, 17, 8]])]  # overlaps the anchor of its cell by 7/9, and no other one by 0.5
    head = build(**ONE_LEVEL)
    (targets,), (negatives,) = targets_of(head, gts)
    assert targets[0, 2, 4] == 1 and negatives[0].sum() == 7
    assigner = dict(type='GridAssigner', pos_iou_thr=0.9, neg_iou_thr=0.5, min_pos_iou=0.8)
    head = build(**ONE_LEVEL, train_cfg=dict(assigner=assigner))
    (targets,), (negatives,) = targets_of(head, gts)
    assert not targets.any() and negatives[0].tolist() == [1, 1, 0, 1, 1, 1, 1, 1]
    losses = head.loss([torch.zeros(1, 16, 2, 2)], gts, LABELS, [SHAPE])
    assert float(losses['loss_conf'][0]) == pytest.approx(7 * math.log(2))


def detections(head, **kwargs):
    maps = torch.full((1, 2, 8, 2, 2), -9.0)
    maps[:, :, :4] = 0
    maps[0, 1, 4, 1, 0], maps[0, 1, 6, 1, 0] = 1.0, 2.0
    return head.get_bboxes([maps.flatten(1, 2)], [SHAPE], **kwargs)[0]


def test_detections_by_hand():
    head, score = build(**ONE_LEVEL), float(torch.tensor(1.0).sigmoid() * torch.tensor(2.0).sigmoid())
    dets, labels = detections(head)
    # the wide anchor of the cell at the lower left: centre (4, 12), 16 by 8
    torch.testing.assert_close(dets, torch.tensor([[-4.0, 8, 12, 16, score]]))
    assert labels.tolist() == [1]
    dets, _ = detections(head, rescale=True)
    assert dets[0, :4].tolist() == [-2, 4, 6, 8]
    boxes, scores, labels = detections(head, with_nms=False)
    assert boxes.tolist() == [[-4, 8, 12, 16]] and scores.tolist() == pytest.approx([score]) and labels.tolist() == [1]


def test_image_without_detections_gives_empty_results():
    head = build(**ONE_LEVEL)
    ((dets, labels),) = head.get_bboxes([torch.full((1, 16, 2, 2), -9.0)], [SHAPE])
    assert dets.shape == (0, 5) and labels.shape == (0,)


def test_augmented_test_of_one_version_is_the_plain_test():
    head = build(**ONE_LEVEL).eval()
    for layer in head.convs_pred:
        torch.nn.init.normal_(layer.weight, std=0.5)
    feats = [torch.randn(1, 4, 2, 2)]
    with torch.no_grad():
        ((want, labels),) = head.simple_test(feats, [SHAPE], rescale=True)
        ((dets, same),) = head.aug_test([feats], [[SHAPE]], rescale=True)
    assert len(want) > 0
    torch.testing.assert_close(dets, want)
    assert same.equal(labels)


def test_first_probabilities():
    head = build()
    head.init_weights()
    for layer, stride in zip(head.convs_pred, (8, 16)):
        bias = layer.bias.view(2, 8).sigmoid()
        torch.testing.assert_close(bias[:, 4], torch.full((2,), 8 / (608 / stride) ** 2))
        torch.testing.assert_close(bias[:, 5:], torch.full((2, 3), 0.01))


def test_old_names_and_wrong_levels():
    head = build()
    with pytest.warns(DeprecationWarning, match='use prior_generator'):
        assert head.anchor_generator is head.prior_generator
    with pytest.warns(DeprecationWarning, match='use num_base_priors'):
        assert head.num_anchors == 2
    assert (head.num_levels, head.num_attrib) == (2, 8)
    with pytest.raises(ValueError, match='expected 2 feature maps, got 1'):
        head([torch.randn(1, 4, 2, 2)])
    with pytest.raises(ValueError, match=r'one number a level, got \(2, 2, 1\)'):
        build(featmap_strides=(8,))
