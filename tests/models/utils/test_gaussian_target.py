import math

import pytest
import torch

from mmdet.models.utils.gaussian_target import (
    gather_feat,
    gaussian2D,
    gaussian_radius,
    gen_gaussian_target,
    get_local_maximum,
    get_topk_from_heatmap,
    transpose_and_gather_feat,
)


def test_gaussian2d_has_its_peak_in_the_middle():
    kernel = gaussian2D(2, sigma=1)
    assert kernel.shape == (5, 5) and kernel[2, 2] == 1
    assert kernel[2, 3].item() == pytest.approx(math.exp(-0.5))
    assert kernel[0, 4].item() == pytest.approx(math.exp(-4))


def test_gaussian2d_cuts_values_that_are_nothing():
    assert gaussian2D(9, sigma=1)[0, 0] == 0


@pytest.mark.parametrize('center', [(3, 4), (0, 0), (7, 5), (0, 5)])
def test_gaussian_target_is_clipped_at_the_border_and_keeps_higher_values(center):
    heatmap = torch.zeros(6, 8)
    heatmap[1, 1] = 5
    out = gen_gaussian_target(heatmap, center, radius=2, k=2)
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(8), indexing='ij')
    dx, dy = columns - center[0], rows - center[1]
    want = 2 * torch.exp(-(dx**2 + dy**2) / (2 * (5 / 6) ** 2)) * ((dx.abs() <= 2) & (dy.abs() <= 2))
    want[1, 1] = 5
    assert out is heatmap and torch.allclose(out, want)


@pytest.mark.parametrize('size', [(20.0, 30.0), (7.0, 7.0)])
@pytest.mark.parametrize('overlap', [0.3, 0.7])
def test_gaussian_radius_keeps_the_overlap_in_all_three_cases(size, overlap):
    (h, w), r = size, gaussian_radius(size, overlap)
    shifted = (h - r) * (w - r) / (2 * h * w - (h - r) * (w - r))
    inner = (h - 2 * r) * (w - 2 * r) / (h * w)
    outer = h * w / ((h + 2 * r) * (w + 2 * r))
    assert min(shifted, inner, outer) == pytest.approx(overlap)


def test_local_maximum_keeps_peaks_only():
    heat = torch.tensor([[1.0, 2, 1, 0, 3], [0, 1, 0, 0, 1]]).reshape(1, 1, 2, 5)
    assert get_local_maximum(heat).flatten().nonzero().flatten().tolist() == [1, 4]


def test_topk_gives_class_row_and_column():
    scores = torch.zeros(2, 3, 4, 5)
    scores[0, 2, 3, 1], scores[0, 0, 1, 4], scores[1, 1, 0, 0] = 0.9, 0.8, 0.7
    values, cells, classes, rows, columns = get_topk_from_heatmap(scores, k=2)
    assert values[0].tolist() == pytest.approx([0.9, 0.8]) and cells[0].tolist() == [16, 9]
    assert (classes[0].tolist(), rows[0].tolist(), columns[0].tolist()) == ([2, 0], [3, 1], [1, 4])
    assert classes[1, 0] == 1


def test_gather_feat_reads_cells_and_rows():
    feat = torch.arange(24.0).reshape(1, 2, 3, 4)
    picked = transpose_and_gather_feat(feat, torch.tensor([[5, 0]]))
    assert picked.tolist() == [[[5, 17], [0, 12]]]
    rows = feat.flatten(2).transpose(1, 2)
    assert gather_feat(rows, torch.tensor([[5, 0]]), torch.tensor([[False, True]])).tolist() == [[0, 12]]
