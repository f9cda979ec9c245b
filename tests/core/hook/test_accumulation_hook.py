"""Steps of accumulated gradients in a resumed run."""

import logging
from types import SimpleNamespace

from torch import nn

from mmdet.core.hook import GradientCumulativeOptimizerHook


def test_resumed_run_counts_from_the_begin_of_the_whole_run():
    hook = GradientCumulativeOptimizerHook(cumulative_iters=3)
    hook._init(SimpleNamespace(iter=4, max_iters=11, model=nn.Linear(1, 1), logger=logging.getLogger()))
    # 11 = 3 * 3 + 2: the last two iterations share a step, wherever the run was resumed
    assert (hook.remainder_iters, hook.divisible_iters) == (2, 9)
