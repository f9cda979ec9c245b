"""The line of a training on a terminal: when it is drawn, deleted and left out, and what it says."""

import io
import logging

import pytest

from mmdet.core.hook.diagnostics import progress_line_hook
from mmdet.core.hook.diagnostics.progress_line_hook import CLEAR, ProgressLineHook


class Terminal(io.StringIO):
    """Text that says of itself that it is a terminal."""

    def isatty(self):
        return True


class Runner:
    """What the hook needs of a runner."""

    rank, iter, epoch, max_iters, max_epochs = 0, 100, 0, 2000, 8

    def __init__(self, file):
        self.logger = logging.Logger('progress')
        self.logger.addHandler(logging.StreamHandler(file))


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = [50.0]
    monkeypatch.setattr(progress_line_hook.time, 'monotonic', lambda: now[0])
    return now


def test_line_has_the_time_left_at_the_pace_since_this_process_began(clock):
    terminal = Terminal()
    hook, runner = ProgressLineHook(terminal), Runner(terminal)
    hook.before_run(runner)  # a run that goes on after 100 steps
    clock[0] += 8
    runner.iter = 103
    hook.after_train_iter(runner)
    assert terminal.getvalue() == f'{CLEAR}step 104 of 2000, epoch 1 of 8: 2.00 s a step, 1 h 03 min left\r'
    clock[0] += 0.1
    hook.after_train_iter(runner)  # not yet again
    runner.max_epochs, runner.iter = None, 1989
    clock[0] += 3771.9
    hook.after_train_iter(runner)
    assert terminal.getvalue().split(CLEAR)[2:] == ['step 1990 of 2000: 2.00 s a step, 20 s left\r']


def test_line_makes_way_for_the_log_and_for_evaluations(clock):
    terminal = Terminal()
    hook, runner = ProgressLineHook(terminal), Runner(terminal)
    hook.before_run(runner)
    clock[0] += 1
    hook.after_train_iter(runner)
    runner.logger.warning('a message')
    runner.logger.warning('another')
    assert terminal.getvalue().split('left\r')[1] == f'{CLEAR}a message\nanother\n'
    clock[0] += 1
    hook.after_train_iter(runner)
    hook.after_train_epoch(runner)
    hook.after_run(runner)
    assert terminal.getvalue().endswith(f'left\r{CLEAR}')
    assert not runner.logger.handlers[0].filters


@pytest.mark.parametrize(('kind', 'rank'), [(io.StringIO, 0), (Terminal, 1)])
def test_nothing_is_written_to_files_nor_by_other_processes(clock, kind, rank):
    file = kind()
    hook, runner = ProgressLineHook(file), Runner(file)
    runner.rank = rank
    hook.before_run(runner)
    clock[0] += 1
    hook.after_train_iter(runner)
    hook.after_train_epoch(runner)
    hook.after_run(runner)
    assert file.getvalue() == '' and not runner.logger.handlers[0].filters
