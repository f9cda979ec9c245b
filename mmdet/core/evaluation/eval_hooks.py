"""Evaluation during training: every so many epochs or iterations, with the best checkpoint kept."""

import bisect
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

import torch.distributed as dist
from mmcv.engine import single_gpu_test
from mmcv.runner import BaseRunner, Hook
from mmcv.runner import DistEvalHook as BaseDistEvalHook
from mmcv.runner import EvalHook as BaseEvalHook
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet.core.evaluation.evaluation_record import EvaluationRecord, log_evaluation, rewound
from mmdet.utils.running.group_failure import wait_for_first
from mmdet.utils.running.rng import preserved_rng
from mmdet.utils.util_distribution import broadcast_object

Losses = Callable[[BaseRunner], dict[str, float]]


def _calc_dynamic_intervals(
    start_interval: int, dynamic_interval_list: list[tuple[int, int]]
) -> tuple[list[int], list[int]]:
    """``1, [(10, 2)]`` -> milestones ``[0, 10]`` and intervals ``[1, 2]``."""
    if not isinstance(dynamic_interval_list, list):
        raise TypeError(f'dynamic_intervals: expected a list of (milestone, interval), got {dynamic_interval_list!r}')
    milestones, intervals = zip((0, start_interval), *dynamic_interval_list)
    return list(milestones), list(intervals)


class _DynamicIntervals:
    """Evaluation intervals that change at milestones; evaluations that leave the training's randomness alone, and that
    are made up where a kill has cut them off.
    """

    _record: EvaluationRecord = EvaluationRecord.none()
    # names of figures of which more is better, where a config gives no `rule`
    _default_greater_keys = [*BaseEvalHook._default_greater_keys, 'F1', 'recall']
    _figures: dict[str, Any] = {}  # of the last evaluation, on the process that has worked them out
    loss: Losses | None = None
    _losses: dict[str, float] = {}

    def _set_intervals(self, dynamic_intervals: list[tuple[int, int]] | None) -> None:
        self.use_dynamic_intervals = dynamic_intervals is not None
        if self.use_dynamic_intervals:
            milestones = _calc_dynamic_intervals(self.interval, dynamic_intervals)
            self.dynamic_milestones, self.dynamic_intervals = milestones

    def before_run(self, runner: BaseRunner) -> None:
        """Begin the record of complete evaluations; that of a resumed run is gone on with."""
        super().before_run(runner)
        self._record = EvaluationRecord(runner, self.by_epoch)
        if getattr(runner, 'resumed_from', None) is None:
            self._record.clear()

    def make_up(self, runner: BaseRunner) -> None:
        """Evaluate the checkpoint that is resumed, if a kill has cut its evaluation off."""
        if not (runner.epoch if self.by_epoch else runner.iter):
            return
        with rewound(runner, self.by_epoch):
            self._decide_interval(runner)
            if not self._should_evaluate(runner):
                return
            known = self._record.read()
            if known is not None:
                runner.meta['hook_msgs'].update(known)
                if 'best_ckpt' in known:  # without save_best there is none
                    self.best_ckpt_path = known['best_ckpt']
                self._announce(runner, {})
                return
            runner.logger.info('the evaluation of the resumed checkpoint is made up')
            self._do_evaluate(runner)
            log_evaluation(runner, self.by_epoch)

    def after_run(self, runner: BaseRunner) -> None:
        """Note that the last evaluation is complete."""
        self._record.write_pending()

    def _save_ckpt(self, runner: BaseRunner, key_score: float) -> None:
        """As mmcv's; the best checkpoint so far stays until the new one is whole."""
        previous, self.best_ckpt_path = self.best_ckpt_path, None
        super()._save_ckpt(runner, key_score)
        if self.best_ckpt_path is None:  # the previous one is better
            self.best_ckpt_path = previous
            return
        numbers = {name: value for name, value in self._figures.items() if isinstance(value, Real)}
        runner.meta['hook_msgs']['best_figures'] = {name: float(value) for name, value in numbers.items()}
        if previous and previous != self.best_ckpt_path and self.file_client.isfile(previous):
            self.file_client.remove(previous)
            runner.logger.info(f'The previous best checkpoint {previous} was removed')

    def _decide_interval(self, runner: BaseRunner) -> None:
        if self.use_dynamic_intervals:
            progress = runner.epoch if self.by_epoch else runner.iter
            step = bisect.bisect(self.dynamic_milestones, progress + 1)
            self.interval = self.dynamic_intervals[step - 1]

    def before_train_epoch(self, runner: BaseRunner) -> None:
        """Set the interval; evaluate at the very start where ``start`` asks for it."""
        self._record.write_pending()  # by now the loggers have written the evaluation's row
        self._decide_interval(runner)
        super().before_train_epoch(runner)

    def before_train_iter(self, runner: BaseRunner) -> None:
        """The same for iterations."""
        self._record.write_pending()
        self._decide_interval(runner)
        super().before_train_iter(runner)

    def evaluate(self, runner: BaseRunner, results: list) -> float | None:
        """The data set's figures, into the log; gives that of ``save_best``, None without it."""
        figures = self.dataloader.dataset.evaluate(results, logger=runner.logger, **self.eval_kwargs)
        self._figures = {**figures, **self._losses}
        runner.log_buffer.output.update(self._figures)
        runner.log_buffer.ready = True
        if self.save_best is None:
            return None
        if not self._figures:
            runner.logger.warning('the evaluation gives no figures, so there is no best checkpoint')
            return None
        if self.key_indicator == 'auto':
            self._init_rule(self.rule, next(iter(self._figures)))
        return self._figures[self.key_indicator]

    @staticmethod
    def _announce(runner: BaseRunner, figures: dict[str, Any]) -> None:
        """Hand figures to all hooks that have ``after_evaluation(runner, figures)``; those of rank 0 on all processes.

        An evaluation that was complete before the run was killed has no figures any more.
        """
        listeners = [hook for hook in runner.hooks if hasattr(hook, 'after_evaluation')]
        figures = broadcast_object(figures) if listeners else figures
        for hook in listeners:
            hook.after_evaluation(runner, figures)

    def _work_out_losses(self, runner: BaseRunner) -> None:
        """Losses of the validation data, where they are asked for; all processes take part."""
        if self.loss is not None:
            with preserved_rng():
                self._losses = self.loss(runner)

    def _score(self, runner: BaseRunner, results: list) -> None:
        """Compute the metrics, and save the checkpoint where they are the best so far."""
        self.latest_results = results  # for loggers that show detections
        runner.log_buffer.output['eval_iter_num'] = len(self.dataloader)
        key_score = self.evaluate(runner, results)
        # a score of 0 may be the first one; only None means that there is no score
        if self.save_best and key_score is not None:
            self._save_ckpt(runner, key_score)
        self._record.done(runner)


class EvalHook(_DynamicIntervals, BaseEvalHook):
    """mmcv's hook for one process.

    Args:
        args, kwargs: of mmcv's ``EvalHook``: the loader, ``interval``, ``by_epoch``, ``start``, ``save_best``,
            ``rule``, ``test_fn`` (model, loader -> results; default: mmcv's), and what the data set's ``evaluate``
            takes.
        dynamic_intervals: ``[(milestone, interval), ...]``: the interval from that epoch (iteration) on.
        loss: runner -> losses of the validation data, which join the figures; None: none.
    """

    def __init__(
        self,
        *args: Any,
        dynamic_intervals: list[tuple[int, int]] | None = None,
        loss: Losses | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._set_intervals(dynamic_intervals)
        self.loss = loss

    def _do_evaluate(self, runner: BaseRunner) -> None:
        self._work_out_losses(runner)
        with preserved_rng():
            results = self.test_fn(runner.model, self.dataloader)
        self._score(runner, results)
        self._announce(runner, self._figures)


class DistEvalHook(_DynamicIntervals, BaseDistEvalHook):
    """mmcv's hook for several processes, each of which tests its part of the images; a lone one tests all.

    The process of rank 0 works the figures out. The others wait for it without a time limit, outside of the backend.

    Args:
        args, kwargs: of mmcv's ``DistEvalHook``.
        dynamic_intervals, loss: see :class:`EvalHook`.
    """

    def __init__(
        self,
        *args: Any,
        dynamic_intervals: list[tuple[int, int]] | None = None,
        loss: Losses | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._set_intervals(dynamic_intervals)
        self.loss = loss
        self._count = 0  # evaluations of this process

    def _do_evaluate(self, runner: BaseRunner) -> None:
        alone = not (dist.is_available() and dist.is_initialized())
        if self.broadcast_bn_buffer and not alone:
            self._share_batch_norm(runner)
        self._work_out_losses(runner)
        tmpdir = self.tmpdir if self.tmpdir is not None else str(Path(runner.work_dir, '.eval_hook'))
        with preserved_rng():
            if alone:
                results = single_gpu_test(runner.model, self.dataloader)
            else:
                results = self.test_fn(runner.model, self.dataloader, tmpdir=tmpdir, gpu_collect=self.gpu_collect)
        if runner.rank == 0:
            self._score(runner, results)
        self._count += 1
        wait_for_first(f'evaluation {self._count}')
        self._announce(runner, self._figures)

    @staticmethod
    def _share_batch_norm(runner: BaseRunner) -> None:
        """Running statistics of rank 0 for all: DDP keeps one of its own on each process."""
        for module in runner.model.modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                dist.broadcast(module.running_var, 0)
                dist.broadcast(module.running_mean, 0)


class MissedEvaluationHook(Hook):
    """Lets the evaluation hook make up what a killed run has missed; comes last, when all hooks are ready.

    Args:
        evaluation: the hook.
    """

    def __init__(self, evaluation: EvalHook | DistEvalHook) -> None:
        self.evaluation = evaluation

    def before_run(self, runner: BaseRunner) -> None:
        """See :meth:`EvalHook.make_up`."""
        if getattr(runner, 'resumed_from', None) is not None:
            self.evaluation.make_up(runner)
