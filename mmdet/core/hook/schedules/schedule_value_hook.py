"""Values of a model that change in the course of the training."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.core.hook.schedules.set_progress_hook import training_progress
from mmdet.core.utils.progress_schedule import checked_schedule
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.registry import did_you_mean

UNITS = ('progress', 'epoch')


@HOOKS.register_module()
class ScheduleValueHook(Hook):
    """Sets a value of the model before each training iteration, as a schedule says.

    Args:
        name: where the value is, from the detector on: attributes, keys of configs and numbers of list entries, with
            dots between: ``'roi_head.bbox_head.loss_cls.loss_weight'``, ``'test_cfg.rcnn.score_thr'``,
            ``'roi_head.bbox_head.0.loss_bbox.loss_weight'``.
        schedule: fields of :class:`mmdet.core.utils.progress_schedule.ProgressSchedule`.
        unit: of the schedule's ``begin``, ``end`` and ``points``: ``'progress'``, fractions of the training, or
            ``'epoch'``, which has fractions.
        round_to_int: set the nearest whole number.
        log_as: name of the value in the log; None: it is not logged.

    Raises:
        TypeError, ValueError: the schedule or the unit is impossible.
        KeyError: (at the start of a run) the model has no such value.
    """

    def __init__(
        self,
        name: str,
        schedule: Mapping[str, Any],
        unit: str = 'progress',
        round_to_int: bool = False,
        log_as: str | None = None,
    ) -> None:
        if unit not in UNITS:
            raise ValueError(f'ScheduleValueHook: unit must be one of {UNITS}, got {unit!r}{did_you_mean(unit, UNITS)}')
        self.name = name
        self.schedule = checked_schedule('ScheduleValueHook.schedule', **schedule)
        self.unit = unit
        self.round_to_int = round_to_int
        self.log_as = log_as

    def before_run(self, runner: BaseRunner) -> None:
        """Look whether the value is there."""
        owner, key = self._owner(runner)
        get_entry(owner, key, self.name)

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Set the value."""
        epochs = runner.iter / max(len(runner.data_loader), 1) if self.unit == 'epoch' else None
        value = self.schedule.at(training_progress(runner) if epochs is None else epochs)
        value = round(value) if self.round_to_int else value
        owner, key = self._owner(runner)
        set_entry(owner, key, value)
        self._value = value

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Log the value."""
        if self.log_as is not None:
            runner.log_buffer.update({self.log_as: float(self._value)})

    def _owner(self, runner: BaseRunner) -> tuple[Any, str]:
        """What has the value, and the name it has there; looked up anew, as other hooks may exchange parts."""
        *path, key = self.name.split('.')
        owner = unwrap_model(runner.model)
        for part in path:
            owner = get_entry(owner, part, self.name)
        return owner, key


def get_entry(owner: Any, key: str, name: str) -> Any:
    """The entry ``key`` of an object, a mapping or a list.

    Args:
        name: of the whole value, for messages.

    Raises:
        KeyError: there is none.
    """
    if isinstance(owner, Mapping):
        known: Sequence[str] = [str(known) for known in owner]
        found = owner.get(key, KeyError)
    elif key.lstrip('-').isdigit() and hasattr(owner, '__getitem__'):
        known = [str(i) for i in range(len(owner))]
        found = owner[int(key)] if -len(owner) <= int(key) < len(owner) else KeyError
    else:
        known = [known for known in dir(owner) if not known.startswith('_')]
        found = getattr(owner, key, KeyError)
    if found is KeyError:
        raise KeyError(f'{name}: {type(owner).__name__} has no {key!r}{did_you_mean(key, known)}')
    return found


def set_entry(owner: Any, key: str, value: Any) -> None:
    """Set the entry ``key`` of an object, a mapping or a list."""
    if isinstance(owner, MutableMapping):
        owner[key] = value
    elif key.lstrip('-').isdigit():
        owner[int(key)] = value
    else:
        setattr(owner, key, value)
