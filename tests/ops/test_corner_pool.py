import pytest
import torch

from mmdet.ops import CornerPool, corner_pool

X = torch.tensor([[1.0, 4, 2], [3, 0, 5], [2, 6, 1]])[None, None]
WANTED = dict(
    top=[[3, 6, 5], [3, 6, 5], [2, 6, 1]],
    bottom=[[1, 4, 2], [3, 4, 5], [3, 6, 5]],
    left=[[4, 4, 2], [5, 5, 5], [6, 6, 1]],
    right=[[1, 4, 4], [3, 3, 5], [2, 6, 6]],
)


@pytest.mark.parametrize('mode', WANTED)
def test_maxima_by_hand(mode):
    assert corner_pool(X, mode)[0, 0].tolist() == WANTED[mode]
    assert CornerPool(mode)(X).equal(corner_pool(X, mode))


@pytest.mark.parametrize('mode', WANTED)
def test_gradients(mode):
    torch.manual_seed(0)
    x = torch.randperm(2 * 2 * 4 * 3, dtype=torch.float64).view(2, 2, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: corner_pool(value, mode), x)


def test_every_cell_gives_its_gradient_to_the_greatest_one():
    x = X.clone().requires_grad_()
    corner_pool(x, 'top').sum().backward()
    assert x.grad[0, 0].tolist() == [[0, 0, 0], [2, 0, 2], [1, 3, 1]]


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be one of bottom, left, right, top, got 'up'"):
        CornerPool('up')
    with pytest.raises(ValueError, match="got 'up'"):
        corner_pool(X, 'up')
