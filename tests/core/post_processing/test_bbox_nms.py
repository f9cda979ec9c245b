import pytest
import torch

from mmdet.core.post_processing import (
    fast_nms,
    multiclass_nms,
)

BOXES = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])  # the first two overlap by 9/11
SCORES = torch.tensor([[0.9, 0.2, 0.0], [0.8, 0.6, 0.0], [0.1, 0.7, 0.0]])  # two classes and background
CFG = dict(type='nms', iou_threshold=0.5)


def test_multiclass_nms_suppresses_within_classes():
    dets, labels, inds = multiclass_nms(BOXES, SCORES, 0.15, CFG, return_inds=True)
    assert (labels.tolist(), inds.tolist()) == ([0, 1, 1], [0, 5, 3])
    torch.testing.assert_close(dets, torch.cat([BOXES[[0, 2, 1]], torch.tensor([[0.9], [0.7], [0.6]])], 1))
    assert len(multiclass_nms(BOXES, SCORES, 0.15, CFG, max_num=2)[0]) == 2


def test_multiclass_nms_factors_apply_after_the_threshold():
    factors = torch.tensor([0.1, 1.0, 1.0])
    dets, labels = multiclass_nms(BOXES, SCORES, 0.65, CFG, score_factors=factors)
    torch.testing.assert_close(dets[:, 4], torch.tensor([0.8, 0.7]))
    assert labels.tolist() == [0, 1]


def test_multiclass_nms_takes_one_box_a_class():
    per_class = torch.cat([BOXES, BOXES + 100], dim=1)
    dets, labels = multiclass_nms(per_class, SCORES, 0.65, CFG)
    assert torch.equal(dets[:, :4], torch.stack([BOXES[0], BOXES[2] + 100])) and labels.tolist() == [0, 1]


@pytest.mark.parametrize(('n', 'thr'), [(0, 0.1), (3, 0.95)])
@pytest.mark.parametrize('columns', [4, 8])
def test_multiclass_nms_of_nothing(n, thr, columns):
    boxes = torch.rand(n, columns)
    dets, labels, inds = multiclass_nms(boxes, SCORES[:n], thr, CFG, 5, return_inds=True)
    assert dets.shape == (0, 5) and labels.shape == (0,) and inds.shape == (0,)


def test_fast_nms_lets_suppressed_boxes_suppress():
    # b overlaps a, c overlaps b but not a: plain suppression keeps c, this one does not
    boxes = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.7, 0.0]])
    dets, labels, coeffs = fast_nms(boxes, scores, torch.arange(3.0)[:, None], 0.1, 0.5, 10)
    assert dets[:, 4].tolist() == pytest.approx([0.9]) and labels.tolist() == [0] and coeffs.tolist() == [[0]]
    assert len(multiclass_nms(boxes, scores, 0.1, CFG)[0]) == 2
    empty = fast_nms(boxes[:0], scores[:0], torch.zeros(0, 1), 0.1, 0.5, 10)
    assert [tuple(x.shape) for x in empty] == [(0, 5), (0,), (0, 1)]
