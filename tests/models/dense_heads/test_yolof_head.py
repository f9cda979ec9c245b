import copy

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.yolof_head import joint_scores, levels_to_images

META = dict(img_shape=(16, 16, 3), pad_shape=(16, 16, 3), scale_factor=[1.0] * 4)


def build(pos_ignore_thr=0.15):
    torch.manual_seed(0)
    cfg = copy.deepcopy(dict(CASES['YOLOFHead'], type='YOLOFHead'))
    # anchors of a 2x2 map: 8 px wide around (0, 0), (8, 0), (0, 8), (8, 8)
    cfg['anchor_generator'].update(scales=[1])
    cfg['train_cfg']['assigner'].update(match_times=1, pos_ignore_thr=pos_ignore_thr)
    return HEADS.build(cfg)


def test_joint_score_is_the_logit_of_the_product():
    cls, obj = torch.tensor([0.5, -2.0, 30.0]), torch.tensor([1.0, 3.0, 30.0])
    torch.testing.assert_close(joint_scores(cls, obj)[:2].sigmoid(), (cls.sigmoid() * obj.sigmoid())[:2])
    assert joint_scores(cls, obj).isfinite().all()


def test_levels_to_images():
    first, second = torch.arange(8.0).view(2, 2, 1, 2), torch.arange(4.0).view(2, 2, 1, 1) + 10
    images = levels_to_images([first, second])
    assert images[1].tolist() == [[4, 6], [5, 7], [12, 13]]


def test_targets_by_hand():
    head = build()
    anchors, flags = head.get_anchors([(2, 2)], [META], 'cpu')
    gts, labels = [torch.tensor([[5.0, -3, 13, 5]])], [torch.tensor([2])]
    deltas = torch.zeros(4, 4)
    deltas[2] = torch.tensor([9 / 8, -7 / 8, 0, 0])  # the third anchor predicts the object exactly
    got = head.get_targets([None], [deltas], [anchors[0][0]], [flags[0][0]], gts, [META], None, labels)
    of_labels, weights, num_pos, num_neg, box_weights, boxes, targets = got
    # nearest prediction: row 2; nearest anchor: row 1. Anchor 2 overlaps the object by less than 0.15
    assert of_labels[0].tolist() == [3, 2, 3, 3]
    assert weights[0].tolist() == [1, 1, 0, 1]
    assert (num_pos, num_neg) == (1, 2)
    assert box_weights.tolist() == [0, 1]
    torch.testing.assert_close(boxes, torch.stack([gts[0][0], torch.tensor([4.0, -4, 12, 4])]))
    torch.testing.assert_close(targets, gts[0].expand(2, 4))


def test_box_loss_has_a_gradient_through_the_matched_prediction():
    head = build(pos_ignore_thr=0.0)
    scores, deltas = torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 2, 2, requires_grad=True)
    losses = head.loss([scores], [deltas], [torch.tensor([[5.0, -3, 13, 5]])], [torch.tensor([2])], [META])
    losses['loss_bbox'].backward()
    assert deltas.grad.flatten(2).abs().sum(1)[0].gt(0).tolist() == [False, True, False, False]
    # both matches are the second anchor, whose IoU with the object is 49 / 79
    overlap, hull = 49 / 79, 81.0
    assert losses['loss_bbox'].item() == pytest.approx(2 * (1 - overlap + (hull - 79) / hull), rel=1e-5)


def test_two_levels_are_refused():
    maps = [torch.zeros(1, 3, 2, 2)] * 2
    with pytest.raises(ValueError, match='YOLOFHead works on one level, got 2'):
        build().loss(maps, maps, [], [], [META])


def test_first_probabilities_are_small():
    head = build()
    head.init_weights()
    torch.testing.assert_close(head.cls_score.bias.sigmoid(), torch.full((3,), 0.01))
    assert not head.bbox_pred.bias.any()
