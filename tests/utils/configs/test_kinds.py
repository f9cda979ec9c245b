"""Values of configs against the type hints of constructors."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
import torch
from mmcv.runner.hooks import CheckpointHook
from torch import Tensor, nn

from mmdet.datasets.pipelines.transforms.resize import Resize
from mmdet.utils.configs.kinds import argument_hints, fits, kind_problem, shown


@pytest.mark.parametrize(
    ('hint', 'right', 'wrong'),
    [
        (int, [3, True, 2.0, None], ['3', 2.5, [3], {}]),
        (float, [3, 0.5, None], ['0.5', [0.5]]),
        (bool, [True, 0, 1], ['yes', 2]),
        (str, ['a'], [1, ['a']]),
        (int | None, [3, None], ['3']),
        (list[int], [[1], (1, 2), []], [1, '12', ['1'], {}]),
        (tuple[int, int], [(1, 2), [1, 2]], [('1', '2'), 5]),
        (Sequence[float | tuple[float, float]], [[1, (2, 3)]], [['1'], [('a', 1)]]),
        (dict, [{}, [{}, {}]], [1, 'a', [1]]),
        (dict[str, int], [{}], ['a']),
        (Literal['a', 'b'], ['a'], ['c']),
        (nn.Module, [dict(type='ResNet'), nn.Linear(1, 1)], ['ResNet', 3]),
        (Tensor | None, [torch.ones(1), None], ['a', 1.0]),
        (Any, ['a', 1, None], []),
        (Callable[[int], int], ['a', len], []),
        (type, ['name', int], [3]),
    ],
)
def test_values_fit_their_hints(hint, right, wrong):
    assert [fits(value, hint) for value in right] == [True] * len(right)
    assert [fits(value, hint) for value in wrong] == [False] * len(wrong)


class Parent(nn.Module):
    def __init__(self, width: int = None, **kwargs: Any) -> None:  # noqa: RUF013 - 2.x is written so
        super().__init__()


class Child(Parent):
    def __init__(self, depth: int, name='x', **kwargs: Any) -> None:
        super().__init__(**kwargs)


def test_arguments_that_go_on_to_the_parent_are_checked_too():
    assert argument_hints(Child) == dict(depth=int, width=int | None)
    Child.__module__ = 'mmdet.made'
    assert kind_problem(Child, dict(depth=3, width=None, name=5, other=[])) is None
    assert 'Child (in mmdet.made): width: expected a whole number or None' in kind_problem(Child, dict(width='3'))
    Child.__module__ = 'elsewhere'
    assert kind_problem(Child, dict(width='3')) is None


def test_problem_names_class_argument_and_what_is_accepted():
    assert kind_problem(Resize, dict(keep_ratio='no')) == (
        "Resize (in mmdet.datasets.pipelines.transforms.resize): keep_ratio: expected True or False, got 'no'."
    )
    assert "interval: expected a whole number, got '1'" in kind_problem(CheckpointHook, dict(interval='1'))
    Child.__module__ = 'mmdet.made'
    assert "depth: expected a whole number, got 'x'" in kind_problem(Child, dict(depth='x'))


def test_hints_are_shown_in_words():
    assert shown(float | torch.Tensor) == 'a number or Tensor'
    assert shown(tuple[int, ...] | None) == 'a list of (a whole number) or None'
    assert shown(Literal['a', 'b']) == "'a' or 'b'" and shown(dict[str, int]) == 'a dict'
