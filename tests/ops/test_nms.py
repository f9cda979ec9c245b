"""Hard, soft and grouped suppression, against hand-made examples and plain loops."""

import math
import sys

import numpy as np
import pytest
import torch

from mmdet.ops import batched_nms, nms, nms_match, soft_nms

NMS_MODULE = sys.modules[batched_nms.__module__]  # its name is also that of a function
# Box 1 overlaps box 0 by 90 / 110 = 9/11; box 2 overlaps nothing.
BOXES = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])
SCORES = torch.tensor([0.9, 0.8, 0.7])


def random_boxes(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=rng) * 60 - 20
    return torch.cat([corner, corner + 5 + torch.rand(n, 2, generator=rng) * 30], 1), torch.rand(n, generator=rng)


@pytest.mark.parametrize(('thr', 'kept'), [(0.5, [0, 2]), (9 / 11 + 1e-3, [0, 1, 2]), (9 / 11 - 1e-3, [0, 2])])
def test_nms_keeps_boxes_up_to_the_threshold(thr, kept):
    dets, inds = nms(BOXES, SCORES, thr)
    assert inds.tolist() == kept
    assert torch.equal(dets, torch.cat([BOXES, SCORES[:, None]], 1)[kept])


def test_nms_offset_counts_both_corner_pixels():
    # inclusive corners: 5 x 1 and 5 x 1 pixels sharing 4 -> IoU 4/6; exclusive: height 0, nothing overlaps
    boxes = torch.tensor([[0.0, 0, 4, 0], [1, 0, 5, 0]])
    scores = torch.tensor([0.5, 0.6])
    assert nms(boxes, scores, 0.6, offset=1)[1].tolist() == [1]
    assert nms(boxes, scores, 0.7, offset=1)[1].tolist() == [1, 0]
    assert nms(boxes, scores, 0.6, offset=0)[1].tolist() == [1, 0]


def test_nms_score_threshold_and_max_num():
    assert nms(BOXES, SCORES, 0.9, score_threshold=0.7)[1].tolist() == [0, 1]
    assert nms(BOXES, SCORES, 0.9, max_num=2)[1].tolist() == [0, 1]


def test_nms_visits_equal_scores_in_the_order_of_sort():
    scores = torch.ones(300)
    boxes = torch.arange(300.0)[:, None] * 10 + torch.tensor([0.0, 0, 5, 5])
    assert nms(boxes, scores, 0.5)[1].equal(scores.sort(descending=True).indices)


def test_nms_takes_arrays_and_half_precision():
    dets, inds = nms(BOXES.numpy(), SCORES.numpy(), 0.5)
    assert isinstance(dets, np.ndarray) and inds.tolist() == [0, 2]
    dets, inds = nms(BOXES.half(), SCORES.half(), 0.5)
    assert dets.dtype == torch.float16 and inds.tolist() == [0, 2]


@pytest.mark.parametrize(
    ('method', 'factor'),
    [('linear', 1 - 9 / 11), ('gaussian', math.exp(-((9 / 11) ** 2) / 0.5)), ('naive', None)],
)
def test_soft_nms_lowers_the_overlapping_score(method, factor):
    dets, inds = soft_nms(BOXES, SCORES, iou_threshold=0.3, sigma=0.5, min_score=0.05, method=method)
    assert inds.tolist() == ([0, 2] if factor is None else [0, 2, 1])
    expected = [0.9, 0.7] if factor is None else [0.9, 0.7, 0.8 * factor]
    torch.testing.assert_close(dets[:, 4], torch.tensor(expected))
    assert torch.equal(dets[:, :4], BOXES[inds])


def test_soft_nms_naive_is_hard_nms():
    boxes, scores = random_boxes(60)
    assert soft_nms(boxes, scores, 0.4, method='naive')[1].tolist() == nms(boxes, scores, 0.4)[1].tolist()


def test_soft_nms_keeps_a_box_whose_score_is_just_min_score():
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]), torch.tensor([0.9, 0.5])
    assert soft_nms(boxes, scores, 0.3, min_score=0.5)[1].tolist() == [0, 1]
    assert soft_nms(boxes, scores, 0.3, min_score=0.5001)[1].tolist() == [0]


def test_soft_nms_min_score_drops_and_the_best_stays():
    assert soft_nms(BOXES, SCORES, 0.3, min_score=0.75)[1].tolist() == [0]
    assert soft_nms(BOXES, SCORES, 0.3, min_score=0.95)[1].tolist() == [0]


@pytest.mark.parametrize('cfg', [dict(type='nms', iou_threshold=0.4), dict(type='soft_nms', iou_threshold=0.4)])
@pytest.mark.parametrize('split_thr', [10000, 5])
def test_batched_nms_equals_loop_over_classes(cfg, split_thr):
    boxes, scores = random_boxes(80)  # coordinates below zero too
    idxs = torch.arange(80) % 3
    dets, keep = batched_nms(boxes, scores, idxs, dict(cfg, split_thr=split_thr))
    op = nms if cfg['type'] == 'nms' else soft_nms
    want = {}
    for group in range(3):
        members = (idxs == group).nonzero().flatten()
        of_group, inds = op(boxes[members], scores[members], iou_threshold=0.4)
        want.update(zip(members[inds].tolist(), of_group[:, 4].tolist()))
    assert set(keep.tolist()) == set(want)
    torch.testing.assert_close(dets[:, 4], torch.tensor([want[i] for i in keep.tolist()]))
    assert torch.equal(dets[:, 4], dets[:, 4].sort(descending=True).values)
    assert torch.equal(dets[:, :4], boxes[keep])


@pytest.mark.parametrize('together', [0, 7, 30, 60, 1000])
def test_groups_that_are_suppressed_together_do_not_meet(together):
    boxes, scores = random_boxes(80)
    idxs = torch.tensor([0, 0, 1, 4]).repeat(20)
    kept_scores, keep = NMS_MODULE._nms_within_groups(boxes, scores, idxs, together, iou_threshold=0.4)
    dets, want = batched_nms(boxes, scores, idxs, dict(iou_threshold=0.4))
    assert torch.equal(keep, want) and torch.equal(kept_scores, dets[:, 4])


def test_packs_take_neighbours_while_there_is_room():
    assert NMS_MODULE._packs([3, 4, 9, 2, 1, 5], 7) == [(0, 2), (2, 3), (3, 5), (5, 6)]
    assert NMS_MODULE._packs([3, 4], 0) == [(0, 1), (1, 2)] and NMS_MODULE._packs([], 5) == []


def test_batched_nms_keeps_many_far_classes_apart_exactly():
    # IoU 0.5001 in class 5000 of boxes at 1300 px: float32 offsets would round the corners to whole pixels
    boxes = torch.tensor([[1300.0, 0, 1310, 10], [1300.0, 0, 1310, 5.01]])
    idxs = torch.tensor([5000, 5000])
    cfg = dict(type='nms', iou_threshold=0.5005)
    assert len(batched_nms(boxes, torch.tensor([0.9, 0.8]), idxs, cfg)[1]) == 1
    cfg = dict(type='nms', iou_threshold=0.5015)
    assert len(batched_nms(boxes, torch.tensor([0.9, 0.8]), idxs, cfg)[1]) == 2


def test_batched_nms_options_of_the_config():
    idxs = torch.tensor([0, 1, 0])
    cfg = dict(type='nms', iou_thr=0.5, class_agnostic=True)
    assert batched_nms(BOXES, SCORES, idxs, cfg)[1].tolist() == [0, 2]
    assert batched_nms(BOXES, SCORES, idxs, dict(cfg, split_thr=1))[1].tolist() == [0, 2]
    assert batched_nms(BOXES, SCORES, idxs, dict(type='nms', iou_threshold=0.5, max_num=2))[1].tolist() == [0, 1]
    assert batched_nms(BOXES, SCORES.flip(0), idxs, None)[1].tolist() == [2, 1, 0]
    assert cfg == dict(type='nms', iou_thr=0.5, class_agnostic=True)


@pytest.mark.parametrize(
    'cfg', [None, dict(iou_threshold=0.5), dict(type='soft_nms'), dict(iou_threshold=0.5, split_thr=0)]
)
def test_batched_nms_of_no_boxes(cfg):
    dets, keep = batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), cfg)
    assert dets.shape == (0, 5) and keep.shape == (0,) and keep.dtype == torch.long


def test_nms_match_groups_the_suppressed_with_their_keeper():
    dets = torch.cat([BOXES, SCORES[:, None]], 1)[[2, 1, 0]]
    assert [group.tolist() for group in nms_match(dets, 0.5)] == [[2, 1], [0]]
    assert nms_match(torch.zeros(0, 5), 0.5) == []
    boxes, scores = random_boxes(50)
    groups = nms_match(torch.cat([boxes, scores[:, None]], 1), 0.4)
    assert sorted(torch.cat(groups).tolist()) == list(range(50))
    assert [int(g[0]) for g in groups] == nms(boxes, scores, 0.4)[1].tolist()
    # they are parts of one tensor: a single copy to the device of the boxes
    assert len({group.untyped_storage().data_ptr() for group in groups}) == 1


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match=r'boxes \(n, 4\).*\(3, 4\) and \(2,\)'):
        nms(BOXES, SCORES[:2], 0.5)
    with pytest.raises(ValueError, match='offset must be 0'):
        nms(BOXES, SCORES, 0.5, offset=2)
    with pytest.raises(ValueError, match="method must be one of.*'cosine'"):
        soft_nms(BOXES, SCORES, method='cosine')
    with pytest.raises(ValueError, match="type must be one of.*'nmss'"):
        batched_nms(BOXES, SCORES, torch.zeros(3), dict(type='nmss', iou_threshold=0.5))
    with pytest.raises(ValueError, match=r'dets \(n, 5\)'):
        nms_match(BOXES, 0.5)


def test_groups_one_by_one_give_what_groups_moved_apart_give(monkeypatch):
    monkeypatch.setattr(NMS_MODULE, '_LEAST_FOR_GROUPS', 0)
    monkeypatch.setattr(NMS_MODULE, '_apart', None)  # out of reach
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(400, 2, generator=generator) * 60
    boxes = torch.cat([corners, corners + 5 + torch.rand(400, 2, generator=generator) * 30], 1)
    scores = torch.rand(400, generator=generator).round(decimals=1)  # with many ties
    groups = torch.randint(5, (400,), generator=generator)
    for extra in (dict(), dict(offset=1), dict(score_threshold=0.4)):
        dets, keep = batched_nms(boxes, scores, groups, dict(type='nms', iou_threshold=0.5, **extra))
        apart = boxes.double() + groups.double()[:, None] * 1000
        expected = nms(apart, scores, 0.5, **extra)[1]
        assert torch.equal(keep, expected) and 20 < len(keep) < 400
        assert torch.equal(dets, torch.cat([boxes[keep], scores[keep, None]], 1))
