import math

import pytest

from mmdet.core.utils.progress_schedule import checked_schedule, sigmoid_ramp


@pytest.mark.parametrize(
    'settings, values',
    [
        (dict(value=0.3), [0.3, 0.3, 0.3]),
        (dict(value=0.3, begin=0.5), [0.0, 0.3, 0.3]),
        (dict(policy='linear', value=2.0), [0.0, 1.0, 2.0]),
        (dict(policy='linear', value=1.0, start=3.0, end=0.5), [3.0, 1.0, 1.0]),
        (dict(policy='linear', begin=0.5, end=0.5), [0.0, 1.0, 1.0]),
        (dict(policy='points', points=[(0.25, 4.0), (0.75, 2.0)]), [4.0, 3.0, 2.0]),
    ],
)
def test_values_at_the_beginning_the_middle_and_the_end(settings, values):
    schedule = checked_schedule('x', **settings)
    assert [schedule.at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx(values)


def test_sigmoid_ramp_is_that_of_the_paper():
    schedule = checked_schedule('x', policy='sigmoid', value=0.1)
    for progress in (0.0, 0.1, 0.7, 1.0):
        assert schedule.at(progress) == pytest.approx(0.1 * (2 / (1 + math.exp(-10 * progress)) - 1))
    assert sigmoid_ramp(1.0, 4.0) == pytest.approx(math.tanh(2.0))


@pytest.mark.parametrize(
    'settings, error, text',
    [
        (dict(polciy='linear'), TypeError, 'polciy.*policy'),
        (dict(policy='liner'), ValueError, 'linear'),
        (dict(begin=0.5, end=0.2), ValueError, 'before begin'),
        (dict(policy='points'), ValueError, 'need each other'),
        (dict(points=[(0, 1)]), ValueError, 'need each other'),
        (dict(policy='points', points=[(1, 1), (1, 2)]), ValueError, 'must rise'),
    ],
)
def test_impossible_schedule_is_refused(settings, error, text):
    with pytest.raises(error, match=text):
        checked_schedule('x', **settings)
