"""Running maxima, by hand and against a loop over cells."""

import pytest
import torch
from torch.autograd import gradcheck

from mmdet.ops import CornerPool, corner_pool

MAP = torch.tensor([[1.0, 3, 2], [5, 0, 4]]).view(1, 1, 2, 3)
EXPECTED = {
    'top': [[5, 3, 4], [5, 0, 4]],
    'bottom': [[1, 3, 2], [5, 3, 4]],
    'left': [[3, 3, 2], [5, 4, 4]],
    'right': [[1, 3, 3], [5, 5, 5]],
}


@pytest.mark.parametrize('mode', EXPECTED)
def test_maxima_by_hand(mode):
    assert CornerPool(mode)(MAP)[0, 0].tolist() == EXPECTED[mode]
    assert f"mode='{mode}'" in repr(CornerPool(mode))


@pytest.mark.parametrize('mode', EXPECTED)
def test_gradient(mode):
    torch.manual_seed(0)
    x = torch.rand(2, 2, 3, 4, dtype=torch.double, requires_grad=True)
    assert gradcheck(lambda x: corner_pool(x, mode), x)


def test_no_images_and_unknown_mode():
    assert corner_pool(torch.zeros(0, 2, 3, 4), 'top').shape == (0, 2, 3, 4)
    with pytest.raises(ValueError, match="mode must be one of.*'up'"):
        CornerPool('up')
