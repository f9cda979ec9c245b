"""Means of logged values, some of them tensors."""

import pytest
import torch

from mmdet.utils.running.log_buffer import DeviceLogBuffer


@pytest.mark.parametrize('n, expected', [(0, (1 * 2 + 2 * 2 + 6 * 1) / 5), (2, (2 * 2 + 6 * 1) / 3), (9, 12 / 5)])
def test_tensors_count_as_numbers_do(n, expected):
    buffer = DeviceLogBuffer()
    for value, count in ((torch.tensor(1.0), 2), (2.0, 2), (torch.tensor(6.0, requires_grad=True), 1)):
        buffer.update(dict(loss=value), count)
    buffer.update(dict(time=0.5))
    buffer.average(n)
    assert buffer.output == pytest.approx(dict(loss=expected, time=0.5))
    read = buffer.val_history['loss'][-n:]
    assert read == [1.0, 2.0, 6.0][-n:] and all(isinstance(value, float) for value in read)


def test_what_is_no_number_or_elsewhere_does_not_disturb_the_others():
    buffer = DeviceLogBuffer()
    for value in (torch.tensor([2.0]), 4.0):
        buffer.update(dict(loss=torch.tensor(1.0), odd=value))
    buffer.average()
    assert buffer.output == dict(loss=1.0, odd=3.0)
