"""One line on a terminal that says how far a training is and how long it will go on."""

import logging
import sys
import time
from typing import Any, TextIO

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.running.progress import PERIOD, duration

CLEAR = '\r\x1b[K'  # to the beginning of the line, and delete it


@HOOKS.register_module()
class ProgressLineHook(Hook):
    """Keeps a line below the log up to date: steps, epochs, seconds a step, time left; the trainer registers it.

    It is there on terminals alone, of the first process; files have the time left in the lines of ``TextLoggerHook``.
    The time left is that of the remaining steps at the pace so far, evaluations and checkpoints included.

    Args:
        file: default: stderr, where the log goes as well.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file
        self._drawn = False
        self._cleared: list[logging.Handler] = []

    def before_run(self, runner: BaseRunner) -> None:
        """Let what is logged on the terminal delete the line first."""
        self.file = self.file or sys.stderr
        self._first, self._began, self._due = runner.iter, time.monotonic(), 0.0
        if self._on_terminal(runner):
            handlers = [handler for handler in runner.logger.handlers if not isinstance(handler, logging.FileHandler)]
            self._cleared = [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
            for handler in self._cleared:
                handler.addFilter(self._before_record)

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Draw the line anew, a few times a second."""
        now = time.monotonic()
        if not self._on_terminal(runner) or now < self._due:
            return
        self._due = now + PERIOD
        text = progress_text(runner, runner.iter + 1 - self._first, now - self._began)
        self._write(f'{CLEAR}{text}\r')  # what else is printed, an error for instance, goes over it
        self._drawn = True

    def after_train_epoch(self, runner: BaseRunner) -> None:
        """Delete the line: an evaluation has a bar of its own."""
        self._clear()

    def after_run(self, runner: BaseRunner) -> None:
        """Delete the line and leave the log alone."""
        self._clear()
        for handler in self._cleared:
            handler.removeFilter(self._before_record)
        self._cleared = []

    def _on_terminal(self, runner: BaseRunner) -> bool:
        return self.file is not None and self.file.isatty() and not runner.rank

    def _before_record(self, record: logging.LogRecord) -> bool:
        self._clear()
        return True

    def _clear(self) -> None:
        if self._drawn:
            self._write(CLEAR)
            self._drawn = False

    def _write(self, text: str) -> None:
        file: Any = self.file
        file.write(text)
        file.flush()


def progress_text(runner: BaseRunner, done: int, seconds: float) -> str:
    """``'step 430 of 2000, epoch 2 of 8: 0.41 s a step, 10 min 44 s left'``.

    Args:
        runner: after a step, which it does not count yet.
        done: steps of this process so far, at least 1.
        seconds: that they took.
    """
    step, steps = runner.iter + 1, runner.max_iters
    epochs = f', epoch {runner.epoch + 1} of {runner.max_epochs}' if runner.max_epochs else ''
    pace = seconds / done
    return f'step {step} of {steps}{epochs}: {pace:.2f} s a step, {duration(pace * (steps - step))} left'


__all__ = ['ProgressLineHook', 'progress_text']
