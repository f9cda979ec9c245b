import math

import pytest
import torch

from mmdet.ops.probability_loss import probability_cross_entropy


def test_entropy_of_probabilities_is_that_of_the_formula():
    probabilities, targets = torch.tensor([0.25, 0.5, 0.0]), torch.tensor([1.0, 0.25, 0.0])
    wanted = [-math.log(0.25), math.log(2), 0.0]
    assert probability_cross_entropy(probabilities, targets).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize('dtype, wider', [(torch.float16, torch.float32), (torch.float64, torch.float64)])
def test_half_precision_is_widened_also_under_autocast(dtype, wider):
    probabilities = torch.tensor([0.25], dtype=dtype, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        loss = probability_cross_entropy(probabilities, torch.ones(1))
    loss.sum().backward()
    assert loss.dtype == wider and probabilities.grad.item() == -4
