"""Suppression over classes and masks, and merging of augmented results."""

import math

import numpy as np
import pytest
import torch

from mmdet.core.post_processing import (
    fast_nms,
    mask_matrix_nms,
    merge_aug_bboxes,
    merge_aug_masks,
    merge_aug_proposals,
    merge_aug_scores,
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


@pytest.mark.parametrize(('kernel', 'factor'), [('linear', 0.5), ('gaussian', math.exp(-2.0 * 0.25))])
def test_mask_matrix_nms_lowers_within_a_class(kernel, factor):
    masks = torch.zeros(3, 2, 4)
    masks[0, :, :] = 1
    masks[1, 0] = 1  # IoU 1/2 with the first
    masks[2] = masks[0]
    scores, labels, kept, inds = mask_matrix_nms(
        masks, torch.tensor([0, 0, 1]), torch.tensor([0.9, 0.8, 0.7]), kernel=kernel
    )
    order = sorted([(0.9, 0), (0.8 * factor, 1), (0.7, 2)], reverse=True)
    assert inds.tolist() == [i for _, i in order] and torch.equal(kept, masks[inds])
    torch.testing.assert_close(scores, torch.tensor([s for s, _ in order]))
    few = mask_matrix_nms(masks, labels.sort().values, torch.tensor([0.9, 0.8, 0.7]), 0.6, 3, 1, kernel)
    assert few[3].tolist() == [0]


@pytest.mark.parametrize(('kernel', 'factor'), [('linear', 0.75), ('gaussian', math.exp(-2.0 / 16))])
def test_mask_matrix_nms_counts_lowered_masks_less(kernel, factor):
    # each in the one before: IoU 1/2, 1/2, and 1/4 of the outer two; the middle one is itself lowered by 1/2
    masks = torch.zeros(3, 1, 8)
    for mask, pixels in zip(masks, (8, 4, 2)):
        mask[:, :pixels] = 1
    scores, _, _, inds = mask_matrix_nms(masks, torch.zeros(3), torch.tensor([0.9, 0.8, 0.7]), kernel=kernel)
    assert scores[inds == 2].item() == pytest.approx(0.7 * factor)


def test_mask_matrix_nms_counts_large_masks_under_autocast():
    masks = torch.zeros(2, 300, 300)
    masks[0], masks[1, :100] = 1, 1
    args = masks, torch.zeros(2), torch.tensor([0.9, 0.8])
    with torch.autocast('cpu', dtype=torch.bfloat16):  # which knows 29952 and 30080, but not 30000
        half = mask_matrix_nms(*args, kernel='linear')[0]
    torch.testing.assert_close(half, torch.tensor([0.9, 0.8 * 2 / 3]))


def test_mask_matrix_nms_of_equal_masks_and_of_none():
    masks = torch.ones(3, 2, 2)
    scores = mask_matrix_nms(masks, torch.zeros(3), torch.tensor([0.9, 0.8, 0.7]), kernel='linear')[0]
    torch.testing.assert_close(scores, torch.tensor([0.9, 0.0, 0.0]))
    none = mask_matrix_nms(masks[:0], torch.zeros(0), torch.zeros(0), 0.1, 5, 5)
    assert [tuple(x.shape) for x in none] == [(0,), (0,), (0, 2, 2), (0,)]
    with pytest.raises(ValueError, match='differ in length'):
        mask_matrix_nms(masks, torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match="kernel must be one of.*'box'"):
        mask_matrix_nms(masks, torch.zeros(3), torch.zeros(3), kernel='box')


def meta(flip: bool = False, direction: str | None = None, scale: float = 2.0) -> dict:
    return dict(img_shape=(40, 80, 3), scale_factor=np.full(4, scale, np.float32), flip=flip, flip_direction=direction)


def test_merge_aug_bboxes_undoes_flip_and_scale():
    box = torch.tensor([[10.0, 4, 30, 20]])
    mirrored = torch.tensor([[80.0 - 30, 4, 80 - 10, 20]])
    metas = [[meta()], [meta(True, 'horizontal')]]
    torch.testing.assert_close(merge_aug_bboxes([box, mirrored], None, metas, None), box / 2)
    _, scores = merge_aug_bboxes([box, mirrored], [torch.tensor([[0.2]]), torch.tensor([[0.6]])], metas, None)
    torch.testing.assert_close(scores, torch.tensor([[0.4]]))


def test_merge_aug_proposals_suppresses_over_the_copies():
    first = torch.tensor([[10.0, 4, 30, 20, 0.6], [50, 20, 70, 38, 0.5]])
    second = torch.tensor([[50.0, 4, 70, 20, 0.9]])  # the first one, mirrored
    metas = [meta(), meta(True, 'horizontal')]
    merged = merge_aug_proposals([first, second], metas, dict(nms=dict(type='nms', iou_threshold=0.7), max_per_img=5))
    torch.testing.assert_close(merged, torch.tensor([[5.0, 2, 15, 10, 0.9], [25, 10, 35, 19, 0.5]]))
    with pytest.warns(DeprecationWarning):
        old = merge_aug_proposals([first, second], metas, dict(nms_thr=0.7, max_num=1))
    assert torch.equal(old, merged[:1])
    with pytest.raises(ValueError, match='max_num=1 contradicts max_per_img=2'), pytest.warns(DeprecationWarning):
        merge_aug_proposals([first], metas, dict(nms=dict(iou_threshold=0.7), max_num=1, max_per_img=2))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('kind', ['array', 'tensor'])
def test_merge_aug_masks_undoes_the_flip(direction, kind):
    mask = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    axes = {'horizontal': -1, 'vertical': -2, 'diagonal': (-1, -2)}[direction]
    copies = [mask, np.flip(mask, axes).copy() + 4]
    copies = copies if kind == 'array' else [torch.from_numpy(c) for c in copies]
    metas = [[meta()], [meta(True, direction)]]
    np.testing.assert_allclose(np.asarray(merge_aug_masks(copies, metas, None)), mask + 2)
    np.testing.assert_allclose(np.asarray(merge_aug_masks(copies, metas, None, weights=[3, 1])), mask + 1)


def test_merge_aug_scores_of_tensors_and_arrays():
    pair = [np.array([1.0, 2.0]), np.array([3.0, 6.0])]
    assert merge_aug_scores(pair).tolist() == [2, 4]
    assert merge_aug_scores([torch.from_numpy(p) for p in pair]).tolist() == [2, 4]
    with pytest.raises(ValueError, match="flip_direction must be one of.*'up'"):
        merge_aug_masks([np.zeros((1, 1, 2, 2))], [[meta(True, 'up')]], None)


def test_unknown_kernel_matters_only_where_there_are_masks():
    labels, scores = torch.zeros(0, dtype=torch.long), torch.zeros(0)
    found = mask_matrix_nms(torch.zeros(0, 4, 4), labels, scores, kernel='None')
    assert [tuple(f.shape) for f in found] == [(0,), (0,), (0, 4, 4), (0,)]
    with pytest.raises(ValueError, match="kernel must be one of .*got 'None'"):
        mask_matrix_nms(torch.ones(1, 4, 4), labels.new_zeros(1), scores.new_ones(1), kernel='None')
