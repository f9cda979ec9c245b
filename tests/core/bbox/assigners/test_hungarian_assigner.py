import itertools

import pytest
import torch

from mmdet.core.bbox.assigners.hungarian_assigner import match_at_least_cost, matched_result


@pytest.mark.parametrize('shape', [(4, 3), (3, 4)])
def test_match_at_least_cost_equals_trying_all(shape):
    cost = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    got, rows = match_at_least_cost(cost)
    assert torch.equal(rows.positives, got.nonzero()[:, 0]) and torch.equal(rows.negatives, (got == 0).nonzero()[:, 0])
    pairs = [(row, int(gt) - 1) for row, gt in enumerate(got) if gt > 0]
    wide = cost if shape[0] >= shape[1] else cost.T
    tries = itertools.permutations(range(wide.size(0)), wide.size(1))
    best = min(float(wide[list(rows), range(wide.size(1))].sum()) for rows in tries)
    assert len(pairs) == min(shape) and len({gt for _, gt in pairs}) == len(pairs)
    assert sum(float(cost[p]) for p in pairs) == pytest.approx(best)


def test_rows_of_a_matching_are_known():
    result = matched_result(torch.tensor([[3.0], [1.0], [2.0]]), torch.tensor([7]))
    assert result.rows_known and [rows.tolist() for rows in result.rows] == [[1], [0, 2]]
    assert result.gt_inds.tolist() == [0, 1, 0] and result.labels.tolist() == [-1, 7, -1]
