import pytest
import torch

from mmdet.models.dense_heads.functional.assignment.gaussian_mixture import fit_two_gaussians, likely_members


def test_two_gaussians_find_two_groups_and_ignore_what_is_not_valid():
    values = torch.tensor([[1.0, 1.2, 1.1, 9.0, 9.2, 7e5], [0.0, 10.0, 0.0, 10.0, 10.0, 10.0]])
    valid = torch.tensor([[True] * 5 + [False], [True] * 6])
    mixture = fit_two_gaussians(values, valid)
    torch.testing.assert_close(mixture.means, torch.tensor([[1.1, 9.1], [0, 10]]).double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixture.weights[0], torch.tensor([0.6, 0.4]).double(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mixture.variances[0, 1].item(), 0.01 + 1e-5, rtol=1e-4, atol=0)
    tied = fit_two_gaussians(values, valid, 'tied').variances
    assert tied[0, 0] == tied[0, 1]
    with pytest.raises(ValueError, match="got 'round'"):
        fit_two_gaussians(values, valid, 'round')


def test_likely_members_end_with_the_likeliest_of_the_better_group():
    values = torch.tensor([[1.0, 1.1, 1.3, 9.0, 9.2], [2.0, torch.inf, torch.inf, torch.inf, torch.inf]])
    members = likely_members(values, values.isfinite())
    assert members.tolist() == [[True, True, False, False, False], [False] * 5]  # 1.1 is nearest to the mean
    assert not likely_members(values[1:], values[1:].isfinite()).any()
