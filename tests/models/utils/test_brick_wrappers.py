import torch

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.brick_wrappers import AdaptiveAvgPool2d, adaptive_avg_pool2d
from mmdet.models.utils.misc import sigmoid_geometric_mean


def test_adaptive_avg_pool_averages_and_takes_empty_batches():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert adaptive_avg_pool2d(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert AdaptiveAvgPool2d((1, None))(x[:0]).shape == (0, 1, 1, 4)


def test_sigmoid_geometric_mean_has_finite_gradients_at_zero():
    x, y = torch.tensor([-1000.0], requires_grad=True), torch.tensor([0.0], requires_grad=True)
    sigmoid_geometric_mean(x, y).sum().backward()
    assert x.grad.tolist() == [0] and y.grad.tolist() == [0]
