import math

import pytest
import torch

from mmdet.models.roi_heads.functional.grad_reversal import LambdaSchedule, reverse_gradient


@pytest.mark.parametrize('scale', [0, 0.3, 2.0])
def test_reversal_keeps_values_and_turns_the_gradient(scale):
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    y = reverse_gradient(x, scale)
    assert torch.equal(y, x)
    (y * torch.tensor([1.0, 10, 100])).sum().backward()
    torch.testing.assert_close(x.grad, -scale * torch.tensor([1.0, 10, 100]))


def test_schedule_is_zero_before_start_and_level_after_end():
    schedule = LambdaSchedule(start=2, end=4, max_epoch=6, power_factor=2.0)
    assert schedule.at(1.99) == 0
    assert schedule.at(2) == 0
    assert schedule.at(3) == pytest.approx(2 / (1 + math.exp(-0.5)) - 1)  # a quarter of the way
    assert schedule.at(4) == schedule.at(50) == pytest.approx(2 / (1 + math.exp(-1.0)) - 1)  # half of it


def test_schedule_reaches_its_end_at_max_epoch():
    schedule = LambdaSchedule(start=0, end=100, max_epoch=10, power_factor=math.log(3))
    assert schedule.at(10) == schedule.at(99) == pytest.approx(0.5)  # 2 / (1 + 1/3) - 1


def test_epoch_counts_one_iteration_more_than_said():
    schedule = LambdaSchedule(iters_per_epoch=4, init_epoch=3)
    assert [schedule.epoch(i) for i in (0, 5, 10)] == [3, 4, 5]
