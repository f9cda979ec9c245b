import pytest
import torch

from mmdet.models.utils.point_sample import (
    get_uncertain_point_coords_with_randomness,
    get_uncertainty,
    point_sample,
)


def test_point_sample_reads_cell_centres_and_between():
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    points = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.5, 0.5]]])
    assert point_sample(x, points).tolist() == [[[0, 1, 1.5]]]
    assert point_sample(x, points[:, None]).shape == (1, 1, 1, 3)


def test_uncertainty_reads_the_labelled_class():
    logits = torch.tensor([[[1.0], [-5.0]], [[2.0], [0.5]]])
    assert get_uncertainty(logits, torch.tensor([1, 0])).flatten().tolist() == [-5, -2]
    assert get_uncertainty(logits[:, :1], torch.tensor([1, 1])).flatten().tolist() == [-1, -2]


def test_uncertain_points_lie_where_the_sign_changes():
    torch.manual_seed(0)
    logits = torch.linspace(-20, 20, 64).expand(3, 1, 64, 64)
    points = get_uncertain_point_coords_with_randomness(logits, torch.zeros(3, dtype=torch.long), 40, 20, 0.5)
    far = (points[..., 0] - 0.5).abs()
    assert points.shape == (3, 40, 2)
    assert far[:, :20].max() < 0.1 and far[:, 20:].max() > 0.25


def test_all_points_uncertain_no_masks_and_wrong_ratios():
    logits, labels = torch.rand(0, 1, 4, 4), torch.zeros(0, dtype=torch.long)
    assert get_uncertain_point_coords_with_randomness(logits, labels, 6, 3, 1).shape == (0, 6, 2)
    with pytest.raises(ValueError, match='oversample_ratio >= 1'):
        get_uncertain_point_coords_with_randomness(logits, labels, 6, 0.5, 0.5)
