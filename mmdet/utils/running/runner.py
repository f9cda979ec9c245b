"""Runners whose checkpoints are safe, whole and enough to go on exactly as an uninterrupted run would.

:func:`build_runner` puts :class:`ResumableRunner` in front of the runner class that the config names, a user's own
too, and leaves the methods alone which that class has made itself.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmcv.runner import RUNNERS, BaseRunner, EpochBasedRunner, IterBasedRunner, LogBuffer
from mmcv.runner import build_runner as build_mmcv_runner
from torch import Tensor, nn
from torch import distributed as dist
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from mmdet.utils.checkpoints.checkpoint import (
    CheckpointMismatchError,
    check_classes,
    load_checkpoint,
    save_checkpoint,
    unwrap_model,
)
from mmdet.utils.checkpoints.checkpoint_io import MapLocation, point_latest
from mmdet.utils.checkpoints.content_check import check_progress
from mmdet.utils.checkpoints.optimizer_state import check_same_kind, fit_optimizer_state
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.log_buffer import DeviceLogBuffer
from mmdet.utils.running.resumable_loader import ResumableLoader
from mmdet.utils.running.rng import get_rng_state, preserved_rng, set_rng_state

if TYPE_CHECKING:

    class _Mixin(BaseRunner):
        """What the classes below take from the mmcv runner that they stand in front of."""

        model: nn.Module
        optimizer: Optimizer | dict[str, Optimizer]
        meta: dict[str, Any] | None
        epoch: int
        iter: int
        rank: int
        world_size: int
        max_iters: int | None
        _epoch: int
        _iter: int
        _inner_iter: int
        _max_epochs: int
        _max_iters: int | None
else:
    _Mixin = object


INTERRUPTED = 'interrupted.pth'  # checkpoint of a run that was told to end


class ResumableRunner(_Mixin):
    """Replaces a runner's checkpointing and resuming.

    The checkpoint's ``runner_state`` holds ``rng`` (the states of each process, as far as :meth:`gather_rng` was
    called on all of them), ``world_size``, ``gradients`` that wait for their step and, for iteration-based runners
    and where an epoch was interrupted, ``loader`` (see
    :class:`~mmdet.utils.running.resumable_loader.ResumableLoader`), ``loader_epoch`` and ``inner_iter``.
    """

    _gathered_rng: list[dict[str, Any]] | None = None
    _pending: dict[str, Any] | None = None
    _train_loader: ResumableLoader | None = None
    resumed_from: str | None = None
    _is_interrupted = False  # whether the checkpoint that is written is one in the middle of an epoch
    _first_inner_iter: int = 0  # of the next epoch; those before it were done when the run was interrupted

    def run(
        self, data_loaders: list[DataLoader[Any]], workflow: list[tuple[str, int]], *args: Any, **kwargs: Any
    ) -> None:
        """Run the workflow; training loaders learn to resume."""
        loaders = [
            ResumableLoader(loader) if mode == 'train' and isinstance(loader, DataLoader) else loader
            for loader, (mode, _) in zip(data_loaders, workflow)
        ]
        self._train_loader = next((x for x in loaders if isinstance(x, ResumableLoader)), None)
        if self._by_iter and self._pending and self._train_loader:
            self._resume_loader(self._train_loader)
        super().run(loaders, workflow, *args, **kwargs)

    def train(self, data_loader: Any, **kwargs: Any) -> None:
        """One epoch, or one iteration; the first one after a resume begins with the saved random states."""
        if self._pending is not None:
            self._resume_rng(data_loader)
        super().train(data_loader, **kwargs)

    def val(self, data_loader: Any, **kwargs: Any) -> None:
        """Validation losses; training goes on as if there had been none."""
        with preserved_rng():
            super().val(data_loader, **kwargs)

    def load_checkpoint(
        self,
        filename: str,
        map_location: MapLocation = 'cpu',
        strict: bool = False,
        revise_keys: Any = ((r'^module\.', ''),),
    ) -> dict[str, Any]:
        """Load weights only; gives the file's content."""
        return load_checkpoint(
            self.model, filename, map_location, strict=strict, logger=self.logger, revise_keys=revise_keys
        )

    def save_checkpoint(
        self,
        out_dir: str,
        filename_tmpl: str | None = None,
        save_optimizer: bool = True,
        meta: dict[str, Any] | None = None,
        create_symlink: bool = True,
    ) -> None:
        """Write ``out_dir/filename_tmpl`` and let ``latest.pth`` mean it.

        Hooks with a method ``before_save_checkpoint(runner)`` may put something into ``meta`` first.

        Args:
            out_dir: a folder, or an address of mmcv's file client.
            filename_tmpl: with ``{}`` for the number of epochs (or iterations) done.
            save_optimizer: also what is needed to resume.
            meta: further information; the runner's own comes on top.
            create_symlink: write ``latest.pth``.
        """
        for hook in self.hooks:
            if hasattr(hook, 'before_save_checkpoint'):
                hook.before_save_checkpoint(self)
        done_iters = self.iter + 1 if self._in_iteration else self.iter
        done_epochs = self.epoch if self._is_interrupted and not self._by_iter else self.epoch + 1
        meta = {**(meta or {}), **(self.meta or {}), 'epoch': done_epochs, 'iter': done_iters}
        template = filename_tmpl or ('iter_{}.pth' if self._by_iter else 'epoch_{}.pth')
        name = template.format(self.iter + 1 if self._by_iter else self.epoch + 1)
        path = f'{str(out_dir).rstrip("/")}/{name}'
        save_checkpoint(
            self.model,
            path,
            optimizer=self.optimizer if save_optimizer else None,
            meta=meta,
            runner_state=self._state() if save_optimizer else None,
        )
        if create_symlink and '://' not in path:
            point_latest(Path(path))
            if not self._is_interrupted:
                Path(path).with_name(INTERRUPTED).unlink(missing_ok=True)

    def save_interrupted(self) -> str | None:
        """Write a checkpoint between two iterations, in the middle of an epoch too; all processes must call it.

        Returns:
            Its path in the work dir; None where the runner's own loop of an epoch cannot go on in the middle.
        """
        if not (self._by_iter or isinstance(self, _QuickEpochs)):
            return None
        self.gather_rng()
        self._is_interrupted = True
        if self.rank == 0:
            self.save_checkpoint(self.work_dir, INTERRUPTED)
        if self.world_size > 1:
            dist.barrier()  # launchers end the others when one has left
        return str(Path(self.work_dir, INTERRUPTED))

    def gather_rng(self) -> None:
        """Collect the random states of all processes for the next checkpoint; every process must call it."""
        state = get_rng_state()
        self._gathered_rng = [state]
        if self.world_size > 1:
            self._gathered_rng = [{}] * self.world_size
            dist.all_gather_object(self._gathered_rng, state)

    def resume(self, checkpoint: str, resume_optimizer: bool = True, map_location: MapLocation = 'cpu') -> None:
        """Go on from a checkpoint: weights, optimizer, counters, best score, random states, place in the data."""
        # tensors go to the model's device when they are copied, whatever device they were saved from
        advice = 'A run goes on only with the same model; to start from these weights use load_from.'
        content = load_checkpoint(self.model, checkpoint, 'cpu', logger=self.logger, complete=advice)
        check_progress(content, checkpoint)
        meta = content['meta']
        check_classes(meta.get('CLASSES'), getattr(unwrap_model(self.model), 'CLASSES', None), checkpoint, advice)
        state = content.get('runner_state') or {}
        self._epoch, self._iter = meta['epoch'], self._rescaled_iter(meta['iter'], state)
        if self._by_iter:
            self._inner_iter = self._iter
        self._resume_meta(meta)
        if resume_optimizer and content.get('optimizer') is None:
            self.logger.warning(f'{checkpoint} has no state of the optimizer: momentum and the like begin anew')
        elif resume_optimizer:
            try:
                self._resume_optimizer(content)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise CheckpointMismatchError(
                    f'{checkpoint}: the state of its optimizer is not of the one of the config ({error}); a run goes '
                    'on only with the same optimizer; to start from these weights use load_from'
                ) from error
        waiting = state.get('gradients') or {}
        for name, parameter in unwrap_model(self.model).named_parameters():
            if name in waiting:
                parameter.grad = waiting[name].to(parameter, copy=True)
        self._pending = state or None
        self.resumed_from = str(checkpoint)
        self.logger.info(f'resumed from {checkpoint}: epoch {self.epoch}, iter {self.iter}')

    @property
    def _by_iter(self) -> bool:
        return isinstance(self, IterBasedRunner)

    @property
    def _in_iteration(self) -> bool:
        """Whether an iteration is at work whose number is not counted yet: hooks run before ``iter`` grows."""
        return hasattr(self, 'data_batch')

    def _state(self) -> dict[str, Any]:
        if self._pending is not None:
            return dict(self._pending)  # resumed, and not gone on yet
        state = {'rng': self._gathered_rng or [get_rng_state()], 'world_size': self.world_size}
        self._gathered_rng = None
        gradients = self._waiting_gradients()
        if gradients:
            state['gradients'] = gradients
        if self._train_loader is not None and (self._by_iter or self._is_interrupted):
            state.update(loader=self._train_loader.state(), loader_epoch=self.epoch)
        if self._is_interrupted and not self._by_iter:
            state['inner_iter'] = self._inner_iter + 1
        return state

    def _waiting_gradients(self) -> dict[str, Tensor]:
        """Gradients of iterations that a hook accumulates for a step to come, by names of parameters."""
        done = self.iter + 1 if self._in_iteration else self.iter
        steps = [hook.cumulative_iters for hook in self._hooks if hasattr(hook, 'cumulative_iters')]
        if not steps or done % steps[0] == 0 or done == self.max_iters:
            return {}
        named = unwrap_model(self.model).named_parameters()
        return {name: p.grad.detach() for name, p in named if p.grad is not None}

    def _rescaled_iter(self, iters: int, state: dict[str, Any]) -> int:
        """Iterations done, in those of the present number of processes (an epoch has fewer with more of them)."""
        before = state.get('world_size', self.world_size)
        if self._by_iter or before == self.world_size:
            return iters
        self.logger.info(f'{before} processes before, {self.world_size} now: the number of iterations is rescaled')
        return iters * before // self.world_size

    def _resume_meta(self, meta: dict[str, Any]) -> None:
        """What hooks have left (best score, loss scale) comes from the file, what is said of this run stays."""
        own = dict(self.meta or {})
        messages = {**own.pop('hook_msgs', {}), **(meta.get('hook_msgs') or {})}
        self.meta = {**meta, **own, 'hook_msgs': messages}

    def _resume_optimizer(self, content: dict[str, Any]) -> None:
        saved, model = content['optimizer'], unwrap_model(self.model)
        if isinstance(self.optimizer, Optimizer):
            check_same_kind(saved, self.optimizer)
            saved = fit_optimizer_state(saved, content['state_dict'], model, self.optimizer)
            self.optimizer.load_state_dict(saved)
        else:
            for key, optimizer in self.optimizer.items():
                check_same_kind(saved[key], optimizer)
                optimizer.load_state_dict(saved[key])

    def _resume_loader(self, loader: ResumableLoader) -> None:
        pending = self._pending or {}
        if 'loader' not in pending:
            return
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(pending['loader_epoch'])
        loader.resume(pending['loader'])

    def _resume_rng(self, data_loader: Any) -> None:
        state, self._pending = self._pending or {}, None
        states = state['rng']
        if self.rank < len(states):
            set_rng_state(states[self.rank])
        else:
            self.logger.warning(f'the checkpoint has no random states for process {self.rank}; it goes on with its own')
        if self._by_iter:
            # mmcv's endless loader counts its passes from 0, also in a resumed run
            data_loader._epoch = state.get('loader_epoch', 0)
        elif 'inner_iter' in state:
            self._resume_epoch(data_loader, state)

    def _resume_epoch(self, loader: ResumableLoader, state: dict[str, Any]) -> None:
        """Let an epoch go on that was interrupted; with another number of processes it begins anew."""
        if state['world_size'] == self.world_size and isinstance(self, _QuickEpochs):
            loader.resume(state['loader'])
            self._first_inner_iter = state['inner_iter']
            return
        self.logger.warning(f'epoch {self.epoch + 1} begins anew: it was interrupted with other processes or runners')
        self._iter = self.epoch * len(loader)


class _QuickEpochs(_Mixin):
    """mmcv's epoch loop without its pause of two seconds before each."""

    _first_inner_iter: int  # of ResumableRunner, beside which this stands

    def train(self, data_loader: Any, **kwargs: Any) -> None:
        """One training epoch."""
        self.model.train()
        self.mode = 'train'
        self.data_loader = data_loader
        self._max_iters = self._max_epochs * len(data_loader)
        self.call_hook('before_train_epoch')
        first = self._first_inner_iter
        self._first_inner_iter = 0
        for self._inner_iter, self.data_batch in enumerate(data_loader, first):
            self.call_hook('before_train_iter')
            self.run_iter(self.data_batch, train_mode=True, **kwargs)
            self.call_hook('after_train_iter')
            del self.data_batch
            self._iter += 1
        self.call_hook('after_train_epoch')
        self._epoch += 1

    @torch.no_grad()
    def val(self, data_loader: Any, **kwargs: Any) -> None:
        """Losses over the validation data, in evaluation mode."""
        self.model.eval()
        self.mode = 'val'
        self.data_loader = data_loader
        self.call_hook('before_val_epoch')
        for self._inner_iter, self.data_batch in enumerate(data_loader):
            self.call_hook('before_val_iter')
            self.run_iter(self.data_batch, train_mode=False)
            self.call_hook('after_val_iter')
            del self.data_batch
        self.call_hook('after_val_epoch')


def resumable(cls: type[BaseRunner]) -> type[BaseRunner]:
    """A runner class with :class:`ResumableRunner` in front, but for methods that ``cls`` does not have from mmcv."""
    if issubclass(cls, ResumableRunner):
        return cls
    own = {name: getattr(cls, name) for name in vars(ResumableRunner) if _is_own_method(cls, name)}
    quick = cls.train is EpochBasedRunner.train and cls.val is EpochBasedRunner.val
    bases = (ResumableRunner, _QuickEpochs, cls) if quick else (ResumableRunner, cls)
    return type(cls.__name__, bases, {**own, '__module__': cls.__module__, '__doc__': cls.__doc__})


def _is_own_method(cls: type, name: str) -> bool:
    """Whether the runner class has made a checkpoint method itself; running and training are only wrapped."""
    if name not in ('load_checkpoint', 'save_checkpoint', 'resume'):
        return False
    return not getattr(cls, name).__module__.startswith('mmcv.')


def build_runner(cfg: dict[str, Any], default_args: dict[str, Any] | None = None) -> BaseRunner:
    """Build ``cfg``'s runner with safe checkpoints.

    Raises:
        KeyError: the runner's type is not registered.
    """
    name = cfg['type']
    cls = RUNNERS.get(name) if isinstance(name, str) else name
    if cls is None:
        raise KeyError(f'no runner {name!r} is registered{did_you_mean(name, RUNNERS.module_dict)}')
    runner = build_mmcv_runner({**cfg, 'type': resumable(cls)}, default_args)
    if type(runner.log_buffer) is LogBuffer:
        runner.log_buffer = DeviceLogBuffer()
    return runner
