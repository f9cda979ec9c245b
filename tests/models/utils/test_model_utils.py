import pytest
import torch

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.misc import interpolate_as, sigmoid_geometric_mean


def test_sigmoid_geometric_mean_is_right_and_differentiable():
    x, y = torch.randn(2, 5, dtype=torch.double).requires_grad_()
    assert torch.allclose(sigmoid_geometric_mean(x, y) ** 2, x.sigmoid() * y.sigmoid())
    torch.autograd.gradcheck(sigmoid_geometric_mean, (x, y))


def test_interpolate_as_takes_the_size_of_the_target():
    source = torch.rand(2, 3, 4, 4)
    assert interpolate_as(source, torch.rand(7, 8, 8)).shape == (2, 3, 8, 8)
    assert interpolate_as(source[0], torch.rand(8, 6)).shape == (3, 8, 6)
    assert interpolate_as(source, torch.rand(4, 4)) is source
    with pytest.raises(ValueError, match='target: expected'):
        interpolate_as(source, torch.rand(4))
