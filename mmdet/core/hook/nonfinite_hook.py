"""Stopping a run, or leaving steps out, when losses or gradients are infinite or NaN."""

from typing import Any, NamedTuple

import torch
from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import Tensor
from torch.optim import Optimizer

from mmdet.core.hook.diagnostics.batch_report import describe_batch
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.errors import NonFiniteError
from mmdet.utils.misc import find_latest_checkpoint

MODES = ('stop', 'skip')
# iterations whose losses may stay on the device; their batches are kept until they are read
MAX_PENDING = 10


class _Step(NamedTuple):
    """What is looked at later of one iteration."""

    number: int  # iterations done, this one included
    epoch: int
    losses: dict[str, float | Tensor]
    batch: Any


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Looks at the losses before the step and at the gradients in it; ``on_nonfinite`` of a config chooses the mode.

    ``train_detector`` registers it in front of the optimizer's hook. Losses that are on the host already, as is usual,
    are looked at before the weights change. Those that ``log_on_device`` leaves on the device, and the gradients, are
    marked there and read together after at most ten iterations and before an epoch ends: there is no host-device
    synchronisation of its own at each step.

    Args:
        mode: ``'stop'`` ends the run with the names of the losses and the files of the batch. ``'skip'`` leaves such
            steps out, batch norm's running statistics too, and counts them; it reads the gradients' mark at each step.

    Raises:
        ValueError: another mode.
    """

    def __init__(self, mode: str = 'stop') -> None:
        if mode not in MODES:
            raise ValueError(f'on_nonfinite: expected one of {", ".join(MODES)}, got {mode!r}')
        self.mode = mode
        self.skipped = 0
        self._pending: list[_Step] = []
        self._marks: dict[int, Tensor] = {}  # iteration -> (P,) norms of the gradients, on the device
        self._names: dict[int, str] = {}
        self._saved_buffers: list[Tensor] = []
        self._bad_loss = False

    def before_run(self, runner: BaseRunner) -> None:
        """Look at the gradients at each step of the optimizers."""
        self._runner = runner
        self._names = {id(p): name for name, p in unwrap_model(runner.model).named_parameters()}
        optimizers = runner.optimizer.values() if isinstance(runner.optimizer, dict) else [runner.optimizer]
        handles = [optimizer.register_step_pre_hook(self._before_step) for optimizer in optimizers]
        self._handles = handles

    def after_run(self, runner: BaseRunner) -> None:
        """Read what is left, and let go of the optimizers."""
        self._read(runner)
        for handle in self._handles:
            handle.remove()

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Keep the statistics that a forward pass changes."""
        if self.mode == 'skip':
            self._saved_buffers = [buffer.clone() for buffer in self._buffers(runner)]

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Look at the losses.

        Raises:
            NonFiniteError: one of this or an earlier iteration is not finite.
        """
        losses = _losses(runner.outputs)
        step = _Step(runner.iter + 1, runner.epoch + 1, losses, getattr(runner, 'data_batch', None))
        if self.mode == 'skip':
            self._bad_loss = bool(_nonfinite(losses))
            if self._bad_loss:
                self._skip(runner, step)
            self._pending = [step]
            return
        self._pending.append(step)
        on_host = not any(isinstance(value, Tensor) for value in losses.values())
        if on_host or len(self._pending) >= MAX_PENDING:
            self._read(runner)

    def after_train_epoch(self, runner: BaseRunner) -> None:
        """Read everything before the model is evaluated and saved.

        Raises:
            NonFiniteError: a loss or a gradient was not finite.
        """
        self._read(runner)

    def _before_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        """Mark the gradients; without ``skip`` nothing is read."""
        params = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        scaled = getattr(optimizer, 'found_inf', None) is not None  # a gradient scaler looks by itself
        if not params or not self._pending or scaled:
            return
        norms = torch.stack(torch._foreach_norm([p.grad.detach() for p in params]))
        if self.mode == 'stop':
            self._marks[self._pending[-1].number] = norms
            return
        if self._bad_loss or not bool(torch.isfinite(norms).all()):
            if not self._bad_loss:
                self._skip(self._runner, self._pending[-1])
            for p in params:
                p.grad = None  # a step without gradients changes neither the weights nor the optimizer's state

    def _skip(self, runner: BaseRunner, step: _Step) -> None:
        self.skipped += 1
        for buffer, saved in zip(self._buffers(runner), self._saved_buffers):
            buffer.data = saved  # in-place changes would disturb the backward pass that is still to come
        for name in runner.outputs.get('log_vars', {}):
            # the means of the log are those of the steps that were taken
            for history in (runner.log_buffer.val_history, runner.log_buffer.n_history):
                if history.get(name):
                    history[name].pop()
        what = _nonfinite(step.losses) or ['the gradients']
        runner.logger.warning(
            f'iteration {step.number}: {", ".join(what)} not finite, the step is skipped ({self.skipped} so far). '
            f'{_batch_text(step.batch)}'
        )

    def _read(self, runner: BaseRunner) -> None:
        """Look at all pending iterations, in order; the losses of each come before its gradients."""
        pending, marks = self._pending, self._marks
        values = [v.detach().float().isfinite().all() for step in pending for v in _on_device(step.losses)]
        values += [mark.isfinite().all() for mark in marks.values()]
        good = not values or bool(torch.stack([value.to(values[0].device) for value in values]).all())
        for step in [] if good and not any(_on_host_nonfinite(s.losses) for s in pending) else pending:
            self._stop_at(runner, step)
        self._marks = {}
        # the gradients of the newest iteration are not known yet where the losses are read before its step
        self._pending = pending[-1:]

    def _stop_at(self, runner: BaseRunner, step: _Step) -> None:
        what = _nonfinite(step.losses)
        mark = self._marks.get(step.number)
        if what:
            raise NonFiniteError(self._message(runner, step, f'{", ".join(what)} not finite'))
        if mark is not None and not bool(mark.isfinite().all()):
            count = int((~mark.isfinite()).sum())
            text = f'{count} of {len(mark)} gradients not finite{self._first_parameter(runner, mark)}'
            raise NonFiniteError(self._message(runner, step, text))

    def _first_parameter(self, runner: BaseRunner, mark: Tensor) -> str:
        optimizers = runner.optimizer.values() if isinstance(runner.optimizer, dict) else [runner.optimizer]
        params = [p for o in optimizers for group in o.param_groups for p in group['params'] if p.grad is not None]
        first = int((~mark.isfinite()).nonzero()[0])
        name = self._names.get(id(params[first])) if len(params) == len(mark) else None
        return f' (first: {name})' if name else ''

    def _message(self, runner: BaseRunner, step: _Step, what: str) -> str:
        latest = find_latest_checkpoint(runner.work_dir)
        kept = f'The last good checkpoint is {latest} (--resume-from)' if latest else 'There is no checkpoint yet'
        return (
            f'iteration {step.number} (epoch {step.epoch}): {what}. {_batch_text(step.batch)}{kept}. Lower the '
            'learning rate, lengthen the warm-up or set optimizer_config.grad_clip; or look at those files; '
            "on_nonfinite='skip' leaves such steps out."
        )

    @staticmethod
    def _buffers(runner: BaseRunner) -> list[Tensor]:
        return [buffer for buffer in unwrap_model(runner.model).buffers() if buffer.is_floating_point()]


def _losses(outputs: dict[str, Any]) -> dict[str, float | Tensor]:
    """The parts of the loss, and the loss itself, as they are in the log."""
    parts = {name: value for name, value in outputs.get('log_vars', {}).items() if 'loss' in name}
    return parts if 'loss' in parts else {**parts, 'loss': outputs['loss'].detach()}


def _on_device(losses: dict[str, float | Tensor]) -> list[Tensor]:
    return [value for value in losses.values() if isinstance(value, Tensor)]


def _on_host_nonfinite(losses: dict[str, float | Tensor]) -> bool:
    return not all(abs(v) < float('inf') for v in losses.values() if not isinstance(v, Tensor))


def _nonfinite(losses: dict[str, float | Tensor]) -> list[str]:
    """``['loss_cls=nan', ...]``; waits for the device where the values are there."""
    numbers = {name: float(value) for name, value in losses.items()}
    return [f'{name}={value}' for name, value in numbers.items() if not abs(value) < float('inf')]


def _batch_text(batch: Any) -> str:
    lines = describe_batch(batch)
    return f'Its batch: {" | ".join(lines)}. ' if lines else ''
