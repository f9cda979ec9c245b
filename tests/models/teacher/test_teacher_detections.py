"""Results of tests as detections, and these against annotated objects; all by hand."""

import numpy as np
import pytest
import torch

from mmdet.models.teacher.detections import Annotated, Detections, match, read_result, without_duplicates

BY_CLASS = [
    np.array([[0, 0, 10, 10, 0.3], [5, 5, 5.5, 9, 0.9]], np.float32),  # the second is half a pixel wide
    np.array([[20, 20, 30, 30, 0.8], [np.nan, 0, 3, 3, 0.7]], np.float32),
]
MASKS = [[np.zeros((4, 4), bool), np.ones((4, 4), bool)], [np.eye(4, dtype=bool), np.zeros((4, 4), bool)]]


@pytest.mark.parametrize(
    'result',
    [
        (BY_CLASS, MASKS),
        (BY_CLASS, (MASKS, [])),
        dict(ins_results=(BY_CLASS, [[torch.from_numpy(mask) for mask in masks] for masks in MASKS])),
    ],
    ids=['masks', 'with scores of masks', 'panoptic, tensors'],
)
def test_results_of_every_form_give_the_usable_detections_best_first(result):
    found = read_result(result)
    assert found.boxes.tolist() == [[20, 20, 30, 30], [0, 0, 10, 10]] and found.labels.tolist() == [1, 0]
    torch.testing.assert_close(found.scores, torch.tensor([0.8, 0.3]))
    assert np.array_equal(found.masks[0], np.eye(4)) and not found.masks[1].any()
    assert found.take(torch.tensor([False, True])).labels.tolist() == [0]


def test_detectors_of_masks_alone_get_boxes_around_them():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:8] = True
    empty = np.zeros((8, 9), bool)
    found = read_result(([np.array([[0, 0, 0, 0, 0.6], [0, 0, 0, 0, 0.9]], np.float32)], [[mask, empty]]))
    assert found.boxes.tolist() == [[3, 2, 8, 5]] and found.scores.tolist() == pytest.approx([0.6])


def test_proposals_are_of_one_class_and_other_results_are_refused():
    found = read_result(BY_CLASS[0])
    assert found.labels.tolist() == [0] and found.masks is None
    assert len(read_result([np.zeros((0, 5), np.float32)] * 3).boxes) == 0
    with pytest.raises(TypeError, match="as 'ins_results'\\), got dict"):
        read_result(dict(pan_results=None))


def found_of(*rows):
    rows = torch.tensor(rows)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].long(), None)


def test_match_by_hand():
    found = found_of(
        [0.0, 0, 10, 10, 0.9, 0],  # on the first object
        [40, 40, 50, 50, 0.8, 1],  # on none
        [20, 20, 30, 30, 0.7, 0],  # on the second, of another class
        [20, 20, 30, 29, 0.6, 1],  # on the second
        [0, 0, 10, 9, 0.5, 0],  # on the first again
        [60, 60, 70, 70, 0.4, 0],  # in a region to be ignored
    )
    annotated = Annotated(
        torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [80, 80, 90, 90]]),
        torch.tensor([0, 1, 1]),
        torch.tensor([[55.0, 55, 99, 99]]),
    )
    matched = match(found, annotated)
    torch.testing.assert_close(matched.scores, torch.tensor([0.9, 0.6, 0]))
    assert matched.free.tolist() == [False, True, False, False, False, False]
    nothing = Annotated(annotated.boxes[:0], annotated.labels[:0], annotated.ignored[:0])
    assert match(found, nothing).free.all() and match(found, nothing).scores.shape == (0,)
    empty = match(found.take(torch.zeros(6, dtype=torch.bool)), annotated)
    assert empty.scores.tolist() == [0, 0, 0] and empty.free.shape == (0,)


def test_better_detections_of_a_group_suppress_by_hand():
    found = found_of(
        [0.0, 0, 10, 10, 0.9, 0], [0, 0, 10, 8, 0.8, 1], [20, 20, 30, 30, 0.7, 0], [0, 0, 10, 4, 0.6, 0]
    )  # fmt: skip

    def kept(groups):
        return without_duplicates(found, torch.tensor(groups), 0.5).scores.tolist()

    assert kept([0, 0, 0, 0]) == pytest.approx([0.9, 0.7, 0.6])  # the last: IoU 0.4 with the first, 0.5 with the second
    assert kept([0, 1, 0, 0]) == pytest.approx([0.9, 0.8, 0.7, 0.6])
    empty = found.take(torch.zeros(4, dtype=torch.bool))
    assert len(without_duplicates(empty, torch.zeros(0), 0.5).boxes) == 0
