"""Rows of a batch."""

import torch

from mmdet.models.dense_heads.functional.rows import (
    flatten_map,
    output_rows,
    positive_rows,
    rows_of_images,
    rows_of_level,
    sample_counts,
    to_full_precision,
)

LEVELS = [torch.arange(16.0).view(1, 4, 2, 2), 16 + torch.arange(4.0).view(1, 4, 1, 1)]  # two anchors of width 2


def test_rows_stand_cell_after_cell_and_anchor_after_anchor():
    first = [[0, 4], [8, 12], [1, 5], [9, 13], [2, 6], [10, 14], [3, 7], [11, 15]]
    assert rows_of_level(LEVELS[0], 2).tolist() == flatten_map(LEVELS[0][0], 2).tolist() == first
    assert rows_of_images(LEVELS, 2).tolist() == [[*first, [16, 17], [18, 19]]]


def test_rows_of_a_level_stand_image_after_image():
    both = torch.cat([LEVELS[1], LEVELS[1] + 10])
    assert rows_of_level(both, 4).tolist() == [[16, 17, 18, 19], [26, 27, 28, 29]]


def test_positives_are_neither_background_nor_left_out():
    assert positive_rows(torch.tensor([2, 0, -1, 1, 3]), 2).tolist() == [1, 3]


def test_each_image_counts_at_least_one_sample_of_each_kind():
    one, none = torch.tensor([4]), torch.zeros(0, dtype=torch.long)
    assert sample_counts([one, none, torch.arange(3)], [none, none, none]) == [5, 3]


def test_only_half_precision_changes():
    half, double = torch.ones(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.float64)
    assert [m.dtype for m in to_full_precision([half, double])] == [torch.float32, torch.float64]


def test_targets_have_a_row_for_every_anchor_or_for_the_assigned():
    inside = torch.tensor([1, 3])
    assert output_rows(inside, 5, unmap_outputs=True) == (5, inside)
    count, rows = output_rows(inside, 5, unmap_outputs=False)
    assert count == 2 and rows.tolist() == [0, 1]
