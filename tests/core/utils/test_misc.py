"""Helpers on lists of tensors."""

import numpy as np
import pytest
import torch

from mmdet.core.utils import (
    center_of_mass,
    filter_scores_and_topk,
    flip_tensor,
    generate_coordinate,
    mask2ndarray,
    multi_apply,
    select_single_mlvl,
    unmap,
)


def test_multi_apply_regroups_outputs():
    sums, products = multi_apply(lambda a, b, c: (a + b + c, a * b * c), [1, 2], [3, 4], c=10)
    assert (sums, products) == ([14, 16], [30, 80])
    assert multi_apply(lambda a: (a, a), []) == ()


def test_unmap_fills_the_other_rows():
    inds = torch.tensor([False, True, False, True])
    assert unmap(torch.tensor([5, 6]), 4, inds, fill=-1).tolist() == [-1, 5, -1, 6]
    rows = unmap(torch.tensor([[1.0, 2], [3, 4]]), 4, inds.to(torch.uint8))
    assert rows.tolist() == [[0, 0], [1, 2], [0, 0], [3, 4]]


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_flip_tensor_mirrors_and_is_its_own_inverse(direction):
    x = torch.arange(12.0).view(1, 2, 2, 3)
    flipped = flip_tensor(x, direction)
    assert torch.equal(flip_tensor(flipped, direction), x)
    y, col = ('vertical', 'diagonal').count(direction), ('horizontal', 'diagonal').count(direction) * 2
    assert flipped[0, 1, 0, 0] == x[0, 1, y, col]


def test_filter_scores_and_topk_sorts_pairs_and_follows_with_results():
    scores = torch.tensor([[0.1, 0.9], [0.6, 0.3], [0.05, 0.7]])
    boxes = torch.arange(3)
    best, labels, keep, found = filter_scores_and_topk(scores, 0.2, 3, dict(boxes=boxes))
    torch.testing.assert_close(best, torch.tensor([0.9, 0.7, 0.6]))
    assert (labels.tolist(), keep.tolist(), found['boxes'].tolist()) == ([1, 1, 0], [0, 2, 1], [0, 2, 1])
    assert filter_scores_and_topk(scores, 0.2, 9, [boxes, boxes])[3][1].tolist() == [0, 2, 1, 1]
    none = filter_scores_and_topk(scores, 0.95, 3, boxes)
    assert [len(x) for x in none] == [0, 0, 0, 0]
    with pytest.raises(NotImplementedError, match='got str'):
        filter_scores_and_topk(scores, 0.2, 3, 'boxes')


@pytest.mark.parametrize('topk', [1, 20, 300, 2000])
def test_the_best_of_many_scores_are_found_without_sorting_all(topk):
    torch.manual_seed(0)
    scores = torch.rand(300, 4)
    best, labels, keep, _ = filter_scores_and_topk(scores, 0.4, topk)
    expected, places = scores.flatten().sort(descending=True)
    count = min(topk, int((scores > 0.4).sum()))
    assert torch.equal(best, expected[:count]) and torch.equal(keep * 4 + labels, places[:count])


def test_equal_scores_are_all_candidates():
    best, _, keep, _ = filter_scores_and_topk(torch.ones(100, 1), 0.5, 10)
    assert len(keep.unique()) == 10 and best.eq(1).all()


def test_select_single_mlvl_detaches_by_default():
    levels = [torch.rand(2, 3, s, s, requires_grad=True) for s in (4, 2)]
    picked = select_single_mlvl(levels, 1)
    assert all(torch.equal(p, lvl[1]) and not p.requires_grad for p, lvl in zip(picked, levels))
    assert select_single_mlvl(levels, 0, detach=False)[0].requires_grad


def test_center_of_mass_of_a_mask_and_of_nothing():
    mask = torch.zeros(4, 6)
    mask[1:3, 2:5] = 1
    assert [x.item() for x in center_of_mass(mask)] == [1.5, 3.0]
    assert [x.item() for x in center_of_mass(mask.bool())] == [1.5, 3.0]
    assert [x.item() for x in center_of_mass(torch.zeros(4, 6))] == [0, 0]


def test_generate_coordinate_runs_from_minus_one_to_one():
    grid = generate_coordinate((2, 8, 3, 5), 'cpu')
    assert grid.shape == (2, 2, 3, 5)
    torch.testing.assert_close(grid[1, 0, 2], torch.linspace(-1, 1, 5))
    torch.testing.assert_close(grid[0, 1, :, 4], torch.linspace(-1, 1, 3))


def test_mask2ndarray_of_tensors_and_arrays():
    array = np.eye(3, dtype=np.uint8)[None]
    assert mask2ndarray(array) is array
    assert (mask2ndarray(torch.from_numpy(array)) == array).all()
    with pytest.raises(TypeError, match='got list'):
        mask2ndarray([array])


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match=r'\(N, C, H, W\) tensor, got \(2, 3\)'):
        flip_tensor(torch.zeros(2, 3), 'horizontal')
    with pytest.raises(ValueError, match="'sideways'"):
        flip_tensor(torch.zeros(1, 1, 2, 3), 'sideways')
