"""Ending a run that the system wants to end, in a way that lets it go on."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import distributed as dist

from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.errors import RunInterruptedError

# Slurm sends the first one before a time limit where `--signal=USR1@seconds` asks for it, the second one at preemption
SIGNALS = tuple(getattr(signal, name) for name in ('SIGUSR1', 'SIGTERM') if hasattr(signal, name))
# iterations from one look to the next where the host runs ahead of the device; a look waits for it
INTERVAL_ON_DEVICE = 10


@HOOKS.register_module()
class InterruptionHook(Hook):
    """After a SIGUSR1 or SIGTERM writes the checkpoint ``interrupted.pth`` and ends the run; the trainer registers it.

    The signal may reach any of the processes: all of them stop after the same iteration. The run goes on from there,
    in the middle of an epoch too, with ``auto_resume``. The next checkpoint of the run takes the file's place. Where
    the runner is the user's own and cannot go on in an epoch, nothing is written, and the newest checkpoint is named.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous: dict[int, Any] = {}

    def before_run(self, runner: BaseRunner) -> None:
        """Begin to listen; signals reach the main thread of a program only."""
        self._received = None
        self._interval = INTERVAL_ON_DEVICE if getattr(unwrap_model(runner.model), 'log_on_device', False) else 1
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}

    def after_run(self, runner: BaseRunner) -> None:
        """Let signals do what they did before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number

    def after_train_iter(self, runner: BaseRunner) -> None:
        """End the run, where a process has been told to.

        Raises:
            RunInterruptedError: on all processes, when the checkpoint is written.
        """
        number = self._agreed(runner) if self.every_n_iters(runner, self._interval) else 0
        if not number:
            return
        for hook in runner.hooks:
            if hasattr(hook, 'before_interruption'):
                hook.before_interruption(runner)
        path = runner.save_interrupted() if hasattr(runner, 'save_interrupted') else None
        runner.call_hook('after_run')  # logs and records are complete
        name, done = signal.Signals(number).name, runner.iter + 1
        kept = f'{path} is whole' if path else f'the newest checkpoint of {runner.work_dir} stays'
        raise RunInterruptedError(f'{name} after iteration {done}: {kept}; --auto-resume goes on from it')

    def _agreed(self, runner: BaseRunner) -> int:
        """The signal that any process has received, 0 for none."""
        received = self._received or 0
        if runner.world_size > 1:
            device = 'cuda' if dist.get_backend() == dist.Backend.NCCL else 'cpu'
            number = torch.tensor(received, device=device)
            dist.all_reduce(number, dist.ReduceOp.MAX)
            received = int(number)
        return received
