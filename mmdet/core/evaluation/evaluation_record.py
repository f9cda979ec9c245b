"""Which evaluation of a run was the last to be complete, so that a resumed run knows whether to make one up."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmcv.runner import BaseRunner
from mmcv.runner.hooks import LoggerHook

from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.util_distribution import broadcast_object

NAME = '.evaluation.json'
KEPT_MESSAGES = (
    'best_score',
    'best_ckpt',
    'best_figures',
    'early_stopping',
)  # what evaluations leave in the runner's `hook_msgs`


class EvaluationRecord:
    """A small file in the work dir: epochs (or iterations) done at the last complete evaluation, and the best score.

    It is written after the loggers have had the evaluation. A kill in between makes a resumed run evaluate again.

    Args:
        runner: gives the folder and the counters; None makes a record that writes nothing.
        by_epoch: count epochs.
    """

    def __init__(self, runner: BaseRunner | None, by_epoch: bool = True) -> None:
        self.runner, self.by_epoch = runner, by_epoch
        self._pending: dict[str, Any] | None = None

    @classmethod
    def none(cls) -> 'EvaluationRecord':
        """One that writes nothing."""
        return cls(None)

    @property
    def path(self) -> Path:
        """Of the file."""
        return Path(self.runner.work_dir, NAME)

    def clear(self) -> None:
        """Forget what an earlier run has left in the folder."""
        if self.runner.rank == 0:
            self.path.unlink(missing_ok=True)

    def done(self, runner: BaseRunner) -> None:
        """Take note of an evaluation; written by :meth:`write_pending`."""
        self._pending = dict(at=self._present() + 1, by_epoch=self.by_epoch)

    def write_pending(self) -> None:
        """Write what was noted."""
        if self._pending is None or self.runner is None or self.runner.rank != 0:
            return
        messages = (self.runner.meta or {}).get('hook_msgs', {})
        kept = {key: messages[key] for key in KEPT_MESSAGES if key in messages}
        with atomic_write(self.path) as file:
            json.dump(dict(self._pending, best=kept), file, default=float)
        self._pending = None

    def read(self) -> dict[str, Any] | None:
        """Best score and its file, if the evaluation of the present moment is complete; the same on all processes."""
        return broadcast_object(self._read() if self.runner.rank == 0 else None)

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self.path.read_text())
        except (OSError, json.JSONDecodeError):
            return None
        fits = content.get('at') == self._present() + 1 and content.get('by_epoch') == self.by_epoch
        return content.get('best', {}) if fits else None

    def _present(self) -> int:
        return self.runner.epoch if self.by_epoch else self.runner.iter


@contextlib.contextmanager
def rewound(runner: BaseRunner, by_epoch: bool) -> Iterator[None]:
    """The runner's counters as they were in the last epoch (or iteration), where hooks run before these are counted."""
    epoch, iteration, mode = runner.epoch, runner.iter, runner.mode
    # checkpoints of both kinds of runners count the epoch that they were made in
    runner.mode, runner._epoch = 'train', epoch - 1
    if by_epoch:
        runner.data_loader, runner._inner_iter = (), -1  # by which loggers know the end of an epoch
    else:
        runner._iter = iteration - 1
        runner.data_batch = None  # by which runners know that an iteration is at work
    try:
        yield
    finally:
        runner._epoch, runner._iter, runner.mode = epoch, iteration, mode
        if by_epoch:
            del runner.data_loader
            runner._inner_iter = 0
        else:
            del runner.data_batch


def log_evaluation(runner: BaseRunner, by_epoch: bool) -> None:
    """Let the loggers write the figures of an evaluation that was made outside of the training's loop."""
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            (hook.after_train_epoch if by_epoch else hook.after_train_iter)(runner)
    runner.log_buffer.clear()
