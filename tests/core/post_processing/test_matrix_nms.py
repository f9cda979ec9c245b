import math

import pytest
import torch

from mmdet.core.post_processing import (
    mask_matrix_nms,
)


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


def test_unknown_kernel_matters_only_where_there_are_masks():
    labels, scores = torch.zeros(0, dtype=torch.long), torch.zeros(0)
    found = mask_matrix_nms(torch.zeros(0, 4, 4), labels, scores, kernel='None')
    assert [tuple(f.shape) for f in found] == [(0,), (0,), (0, 4, 4), (0,)]
    with pytest.raises(ValueError, match="kernel must be one of .*got 'None'"):
        mask_matrix_nms(torch.ones(1, 4, 4), labels.new_zeros(1), scores.new_ones(1), kernel='None')
