import pytest

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.make_divisible import make_divisible


@pytest.mark.parametrize(
    ('value', 'divisor', 'kwargs', 'want'),
    [
        (33, 8, {}, 32),
        (36, 8, {}, 40),
        (3, 8, {}, 8),
        (3, 8, dict(min_value=16), 16),
        (11, 8, dict(min_ratio=0.7), 8),
        (11, 8, {}, 16),
    ],
)
def test_make_divisible_rounds_but_not_far_down(value, divisor, kwargs, want):
    assert make_divisible(value, divisor, **kwargs) == want
