import math

import pytest
import torch
from bbox_coders_cases import BOX, some_boxes
from torch.testing import assert_close

from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import bbox2delta, delta2bbox, denormalise, normalise


def test_delta_encode_by_hand():
    deltas = DeltaXYWHBBoxCoder(target_stds=(1, 1, 2, 2)).encode(BOX, torch.tensor([[5.0, 5, 25, 25]]))
    assert_close(deltas, torch.tensor([[1.0, 0.25, math.log(2) / 2, 0]]))


def test_delta_means_and_deviations_are_0_and_1_unless_told_otherwise():
    assert_close(
        bbox2delta(BOX, torch.tensor([[5.0, 5, 25, 45]])), torch.tensor([[1.0, 0.75, math.log(2), math.log(2)]])
    )
    deltas = torch.tensor([[3.0, 5, 7, 9]])
    assert_close(normalise(deltas, (1, 2, 3, 4), (2, 2, 4, 4)), torch.tensor([[1.0, 1.5, 1, 1.25]]))
    assert_close(denormalise(normalise(deltas, (1, 2, 3, 4), (2, 2, 4, 4)), (1, 2, 3, 4), (2, 2, 4, 4)), deltas)


def test_delta_decode_clips_growth_and_border():
    deltas = torch.tensor([[0.0, 0, 100, -100]])
    width, height = 10 * 0.5**-1, 20 * 0.5
    want = [5 - width / 2, 10 - height / 2, 5 + width / 2, 10 + height / 2]
    assert_close(delta2bbox(BOX, deltas, wh_ratio_clip=0.5), torch.tensor([want]))
    clipped = delta2bbox(BOX, deltas, wh_ratio_clip=0.5, max_shape=(14, 12, 3))
    assert_close(clipped, torch.tensor([[0.0, 5, 12, 14]]))
    assert_close(delta2bbox(BOX, deltas, max_shape=(1, 1), wh_ratio_clip=0.5, clip_border=False), torch.tensor([want]))


def test_delta_decode_centre_clamp_bounds_way_and_growth_only():
    deltas = torch.tensor([[9.0, -9, -100, 100]])
    boxes = delta2bbox(BOX, deltas, add_ctr_clamp=True, ctr_clamp=3, wh_ratio_clip=0.5)
    assert_close(boxes, torch.tensor([[8.0, -13, 8, 27]]))


def test_delta_decode_classes_and_batches_equal_the_loop():
    rois, deltas = some_boxes(2, 8).reshape(2, 4, 4), torch.randn(2, 4, 12)
    coder, shapes = DeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2)), [(20, 30), (25, 15)]
    batch = coder.decode(rois, deltas, max_shape=shapes)
    for i, shape in enumerate(shapes):
        assert_close(coder.decode(rois[i], deltas[i], max_shape=shape), batch[i])
        for k in range(0, 12, 4):
            single = coder.decode(rois[i], deltas[i, :, k : k + 4], max_shape=shape)
            assert_close(batch[i, :, k : k + 4], single)


def test_delta_decode_empty_keeps_width():
    assert DeltaXYWHBBoxCoder().decode(torch.zeros(0, 4), torch.zeros(0, 8), max_shape=(4, 4)).shape == (0, 8)


def test_delta_gradcheck():
    rois, deltas = some_boxes(3).double(), torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: delta2bbox(rois, d, max_shape=(20, 20)), deltas)


@pytest.mark.parametrize('cls', [DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder])
@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (dict(target_means=[0.0, 0.0, 0.0]), r'target_means: expected four numbers, .* got \[0.0, 0.0, 0.0\]'),
        (dict(target_stds=[0.1] * 5), 'target_stds: expected four numbers'),
        (dict(target_stds=[0.1, 0.1, 0.0, 0.2]), 'target_stds: expected numbers other than 0'),
    ],
)
def test_delta_coder_refuses_statistics_that_are_not_four(cls, arguments, text):
    with pytest.raises(ValueError, match=text):
        cls(**arguments)
