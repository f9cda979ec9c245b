"""The helpers of 2.x's exporter."""

import pytest
import torch

from mmdet.core.export import add_dummy_nms_for_onnx, dynamic_clip_for_onnx, get_k_for_topk
from mmdet.core.export.onnx_helper import DummyONNXNMSop

# two boxes that overlap by 0.82, and one elsewhere
BOXES = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]]])
SCORES = torch.tensor([[[0.9, 0.1], [0.8, 0.7], [0.02, 0.6]]])


def test_suppression_works_within_each_class():
    dets, labels = add_dummy_nms_for_onnx(BOXES, SCORES)
    assert labels.tolist() == [[0, 1, 1]]  # the score of 0.1 is suppressed by that of 0.7, 0.02 is below the threshold
    assert dets[0, :, 4].tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert dets[0, :, :4].tolist() == [BOXES[0, i].tolist() for i in (0, 1, 2)]


def test_limits_of_suppression():
    dets, labels = add_dummy_nms_for_onnx(BOXES, SCORES, max_output_boxes_per_class=1, after_top_k=4)
    assert labels.tolist() == [[0, 1, -1, -1]] and (dets[0, 2:] == 0).all()
    assert add_dummy_nms_for_onnx(BOXES, SCORES, pre_top_k=1)[1].tolist() == [[0, 1]]
    named = torch.tensor([[7, 8, 9]])
    assert add_dummy_nms_for_onnx(BOXES, SCORES, labels=named)[1].tolist() == [[7, 8, 9]]
    assert add_dummy_nms_for_onnx(BOXES, SCORES, score_threshold=0.95)[0].shape == (1, 0, 5)


def test_clipping_keeps_corners_in_the_image():
    x = torch.tensor([-3.0, 5.0, 40.0])
    x1, y1, x2, y2 = dynamic_clip_for_onnx(x, x, x, x, torch.tensor([20, 30]))
    assert x1.tolist() == x2.tolist() == [0, 5, 30] and y1.tolist() == y2.tolist() == [0, 5, 20]


@pytest.mark.parametrize(('k', 'size', 'expected'), [(5, 9, 5), (9, 5, 5), (-1, 5, 5), (0, 5, 5)])
def test_number_for_topk(k, size, expected):
    assert get_k_for_topk(k, size) == expected


def test_dummy_operator_names_what_to_call():
    with pytest.raises(NotImplementedError, match='call batched_nms'):
        DummyONNXNMSop.apply(*[torch.zeros(1)] * 5)
