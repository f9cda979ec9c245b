"""Ending a training whose evaluations have not become better for a while."""

import math
from collections.abc import Mapping
from typing import Any

from mmcv.runner import HOOKS, BaseRunner, CheckpointHook, Hook, IterBasedRunner

from mmdet.core.evaluation.eval_hooks import DistEvalHook, EvalHook
from mmdet.utils.registry import did_you_mean

RULES = ('greater', 'less')
STATE = 'early_stopping'  # key of the hook's state among the runner's `hook_msgs`, which checkpoints keep


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Ends the run after ``patience`` evaluations in a row that did not exceed the best one by ``min_delta``.

    The evaluation hook hands it the figures of each evaluation, the same on all processes. The state is kept with the
    best score of ``save_best``, so that a resumed run counts on. A run that ends early has a checkpoint of its last
    epoch (or iteration), unless ``checkpoint_config`` is None.

    Args:
        patience: evaluations without improvement after which the run ends; at least 1.
        min_delta: what counts as an improvement is larger than this; >= 0, in the unit of the figure.
        monitor: name of the figure, such as ``'bbox_mAP'``; None: that of ``evaluation.save_best``, else the first one
            that the evaluation gives.
        rule: ``'greater'`` or ``'less'`` is better; None: less for names with ``loss`` in them, else greater.

    Raises:
        ValueError: a value outside of its range.
    """

    def __init__(
        self, patience: int = 5, min_delta: float = 0.0, monitor: str | None = None, rule: str | None = None
    ) -> None:
        if patience < 1:
            raise ValueError(f'patience: expected a number of evaluations from 1 on, got {patience!r}')
        if not 0 <= min_delta < math.inf:
            raise ValueError(f'min_delta: expected a finite number >= 0, got {min_delta!r}')
        if rule not in (None, *RULES):
            raise ValueError(f'rule: expected {" or ".join(RULES)}, or None, got {rule!r}')
        self.patience, self.min_delta, self.monitor, self.rule = patience, min_delta, monitor, rule

    def before_run(self, runner: BaseRunner) -> None:
        """Look for the evaluation; without one the run goes its whole length, and the log says so."""
        evaluations = [hook for hook in runner.hooks if isinstance(hook, EvalHook | DistEvalHook)]
        if not evaluations:
            runner.logger.warning('EarlyStoppingHook: the run has no evaluation, so it does not end early')
        # what `save_best` watches
        names = [hook.save_best for hook in evaluations if hook.save_best not in (None, 'auto')]
        self._default = names[0] if names else None

    def after_evaluation(self, runner: BaseRunner, figures: Mapping[str, Any]) -> None:
        """Count an evaluation, and end the run where it was one too many.

        Args:
            runner: of the run.
            figures: what the data set's ``evaluate`` gave; empty where an evaluation is known from before a kill.

        Raises:
            KeyError: ``monitor`` is not among the figures.
        """
        if runner.meta is None:
            runner.meta = {}
        state = runner.meta.setdefault('hook_msgs', {}).get(STATE)
        if figures:
            state = self._count(state, figures, self._progress(runner))
            runner.meta['hook_msgs'][STATE] = state
        if state and state['waited'] >= self.patience and not self._is_last(runner):
            self._stop(runner, state)

    def _count(self, state: dict[str, Any] | None, figures: Mapping[str, Any], progress: str) -> dict[str, Any]:
        name = self.monitor or self._default or next(iter(figures))
        if name not in figures:
            raise KeyError(
                f'EarlyStoppingHook: the evaluation gives no {name!r}{did_you_mean(name, figures)} '
                f'It gives: {", ".join(figures)}'
            )
        value = float(figures[name])
        if state is not None and state['monitor'] == name and not self._is_better(name, value, state['best']):
            return dict(state, waited=state['waited'] + 1)
        return dict(monitor=name, best=value, at=progress, waited=0)

    def _is_better(self, name: str, value: float, best: float) -> bool:
        """Whether a value is; NaN is worse than any number."""
        if math.isnan(best) or math.isnan(value):
            return math.isnan(best) and not math.isnan(value)
        rule = self.rule or ('less' if 'loss' in name.lower() else 'greater')
        return value - best > self.min_delta if rule == 'greater' else best - value > self.min_delta

    def _stop(self, runner: BaseRunner, state: dict[str, Any]) -> None:
        by_iter = isinstance(runner, IterBasedRunner)
        # the loops of both runners end at these; an epoch that is at work comes to its end
        if by_iter:
            runner._max_iters = runner.iter + 1
        else:
            runner._max_epochs = runner.epoch + 1
        runner.logger.info(
            f'early stopping at the end of {self._progress(runner)}: {state["monitor"]} was best at {state["at"]} '
            f'({state["best"]:.4f}); {state["waited"]} evaluations since then were not better by more than '
            f'{self.min_delta} (patience {self.patience})'
        )
        if by_iter or not hasattr(runner, 'data_batch'):
            self._save(runner)

    def _save(self, runner: BaseRunner) -> None:
        """Write the checkpoint of this moment, where the checkpoint hook's interval has left it out."""
        by_iter = isinstance(runner, IterBasedRunner)
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.by_epoch != by_iter:
                done = self.every_n_iters if by_iter else self.every_n_epochs
                if not done(runner, hook.interval):
                    hook._save_checkpoint(runner)

    def _is_last(self, runner: BaseRunner) -> bool:
        last = self.is_last_iter if isinstance(runner, IterBasedRunner) else self.is_last_epoch
        return last(runner)

    @staticmethod
    def _progress(runner: BaseRunner) -> str:
        by_iter = isinstance(runner, IterBasedRunner)
        return f'iteration {runner.iter + 1}' if by_iter else f'epoch {runner.epoch + 1}'
