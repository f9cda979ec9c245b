"""Matching costs against numbers computed by hand and against losses of torch."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from mmdet.core.bbox.match_costs import build_match_cost


def cost(name, *args, **kwargs):
    return build_match_cost(dict(type=name, **kwargs))(*args)


@pytest.mark.parametrize('box_format, want', [('xyxy', 0.1 + 0.2 + 0.1 + 0.0), ('xywh', 0.1 + 0.1 + 0.0 + 0.2)])
def test_l1_cost_compares_in_its_format(box_format, want):
    pred, gt = torch.tensor([[0.5, 0.5, 0.2, 0.4]]), torch.tensor([[0.5, 0.5, 0.7, 0.7]])
    assert_close(cost('BBoxL1Cost', pred, gt, weight=2.0, box_format=box_format), torch.tensor([[2 * want]]))


def test_l1_cost_unknown_format_is_named():
    with pytest.raises(ValueError, match="one of \\('xyxy', 'xywh'\\), got 'cxcywh'"):
        cost('BBoxL1Cost', None, None, box_format='cxcywh')


def test_classification_cost_is_minus_the_probability():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    want = torch.tensor([[-1.5, -0.5, -1.5], [-1, -1, -1]])
    assert_close(cost('ClassificationCost', logits, torch.tensor([1, 0, 1]), weight=2.0), want)


def test_focal_cost_by_hand():
    want = -0.25 * 0.25 * math.log(0.5) + 0.75 * 0.25 * math.log(0.5)
    assert_close(cost('FocalLossCost', torch.zeros(1, 3), torch.tensor([2, 0])), torch.full((1, 2), want))


@pytest.mark.parametrize('name, kwargs', [('CrossEntropyLossCost', {}), ('FocalLossCost', dict(binary_input=True))])
def test_pixel_costs_equal_the_mean_loss_of_each_pair(name, kwargs):
    logits, gts = torch.randn(3, 2, 4), torch.randint(0, 2, (2, 2, 4))
    got = cost(name, logits, gts, weight=3.0, **kwargs)
    for i in range(3):
        for j in range(2):
            losses = F.binary_cross_entropy_with_logits(logits[i], gts[j].float(), reduction='none')
            if name == 'FocalLossCost':
                p_of_target = (-losses).exp()
                losses = losses * (1 - p_of_target) ** 2 * torch.where(gts[j] == 1, 0.25, 0.75)
            assert_close(got[i, j], 3 * losses.mean())


@pytest.mark.parametrize('naive, want', [(True, 1 - 1 / 2.0), (False, 1 - 1 / 1.5)])
def test_dice_cost_by_hand(naive, want):
    pred, gt = torch.zeros(1, 2), torch.tensor([[1, 0]])
    got = cost('DiceCost', pred, gt, pred_act=True, naive_dice=naive, eps=0.0)
    assert_close(got, torch.tensor([[want]]))
    assert_close(cost('DiceCost', pred + 0.5, gt, naive_dice=naive, eps=0.0), got)


def test_iou_cost_is_minus_the_overlap():
    boxes, gts = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20], [20, 20, 30, 30]])
    assert_close(cost('IoUCost', boxes, gts, iou_mode='iou', weight=2.0), torch.tensor([[-1.0, 0]]))
    assert cost('IoUCost', boxes, gts)[0, 1] > 0


def test_cross_entropy_cost_has_no_softmax_kind():
    with pytest.raises(ValueError, match='use_sigmoid=False'):
        cost('CrossEntropyLossCost', None, None, use_sigmoid=False)
