"""SetIterHook: schedules that go on where they were, and modules that follow the iteration."""

from types import SimpleNamespace

import pytest
from torch import nn

from mmdet.core.hook.schedules.set_iter_hook import SetIterHook


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.told = []

    def set_iter(self, iteration):
        self.told.append(iteration)


class Follows(Counts):
    def follow_iter(self, iteration):
        self.told.append(('follow', iteration))


@pytest.mark.parametrize(('start', 'want'), [(0, []), (40, [40])])
def test_modules_are_told_where_the_training_goes_on_and_followers_each_step(start, want):
    counts, follows = Counts(), Follows()
    runner = SimpleNamespace(model=nn.Sequential(counts, nn.ModuleList([follows])), iter=start)
    hook = SetIterHook()
    hook.before_run(runner)
    for _ in range(2):
        hook.before_train_iter(runner)
        runner.iter += 1
    assert counts.told == want
    assert follows.told == [*want, ('follow', start), ('follow', start + 1)]
