"""Checks of a config before anything of it is built: names, arguments and kinds of values of all but the model.

The model is built first of all and reports its own mistakes. Data sets read annotations for a while, and hooks are
built after them, so mistakes in their configs are reported here.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from mmcv import Config
from mmcv.runner import HOOKS, RUNNERS, CheckpointHook
from mmcv.utils import Registry

from mmdet.apis.checking.metrics import check_evaluation
from mmdet.apis.checking.rules import is_whole
from mmdet.apis.checking.schema import SAVE_KEYS
from mmdet.apis.checking.unknown_keys import check_known_keys
from mmdet.apis.checking.values import check_hook_values, check_values
from mmdet.core.hook.early_stopping_hook import EarlyStoppingHook
from mmdet.core.optimizers.builder import check_optimizer
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.utils.configs.config_error import ConfigKeyError, ConfigTypeError, building, config_key
from mmdet.utils.registry import did_you_mean, inherited_arguments, resolve

SPLITS = ('train', 'val', 'test')
MODES = ('train', 'val')  # of a workflow

# arguments that whoever builds the object adds
RUNNER_PARTS = dict.fromkeys(('model', 'optimizer', 'work_dir', 'logger', 'meta'))

# keys of a step that hold further steps, and of a data set's wrapper that hold data sets
STEPS_KEYS = ('transforms', 'policies')
DATASET_KEYS = ('dataset', 'datasets')
# of a data set with several annotation files: one for each of them
LISTED_KEYS = ('ann_file', 'img_prefix', 'seg_prefix', 'proposal_file')


def check_config(cfg: Config) -> None:
    """Check a training config: that something reads each key, and data sets, pipelines, optimizer, runner, hooks.

    Args:
        cfg: in today's keys, see :func:`mmdet.utils.compat_cfg`; not changed.

    Raises:
        ConfigKeyError, ConfigTypeError: a key, a type or an argument is unknown, or one is missing; the text begins
            with the keys that lead there.
    """
    check_known_keys(cfg)
    check_values(cfg)
    check_workflow(cfg.get('workflow'))
    if cfg.get('optimizer') is not None:
        check_optimizer(cfg.optimizer)
    _check('runner', cfg.get('runner'), RUNNERS, RUNNER_PARTS)
    for name, hook in _hooks(cfg):
        _check_hook(name, hook)
    for split in SPLITS:
        part = cfg.get('data', {}).get(split)
        if part:
            with config_key(f'data.{split}'), building(part):
                check_dataset(part)
    validation = cfg.get('data', {}).get('val')
    monitors = {f'{name}.monitor': hook['monitor'] for name, hook in _hooks(cfg) if _is_monitoring(hook)}
    if validation and (cfg.get('evaluation') or monitors):
        check_evaluation(cfg.get('evaluation') or {}, validation, monitors=monitors)


def _is_monitoring(hook: dict[str, Any]) -> bool:
    return hook.get('type') in ('EarlyStoppingHook', EarlyStoppingHook) and hook.get('monitor') is not None


def check_workflow(workflow: Any) -> None:
    """Check that a workflow is a list of pairs of a mode and a number of epochs, and that it trains.

    Raises:
        ConfigTypeError: it is not.
    """
    if workflow is None:
        return
    entries = workflow if isinstance(workflow, list | tuple) else [workflow]
    with config_key('workflow'):
        for entry in entries:
            pair = isinstance(entry, list | tuple) and len(entry) == 2
            if not pair or entry[0] not in MODES or not is_whole(entry[1]) or entry[1] < 1:
                raise ConfigTypeError(
                    f"expected pairs such as ('train', 1), of {' or '.join(MODES)} and a whole number from 1 on, got "
                    f'{entry!r}'
                )
        if all(mode != 'train' for mode, _ in entries):
            raise ConfigTypeError(f"expected a pair such as ('train', 1) among its pairs, got {workflow!r}")


def check_dataset(cfg: Any) -> None:
    """Check the config of a data set, those of the data sets in a wrapper, and their pipelines.

    Raises:
        ConfigKeyError, ConfigTypeError: see :func:`check_config`.
    """
    for part in cfg if isinstance(cfg, list | tuple) else [cfg]:
        with building(part):
            joined = isinstance(part, dict) and isinstance(part.get('ann_file'), list | tuple)
            # a list of annotation files makes a ConcatDataset, which takes `separate_eval`
            resolve(_first_of_joined(part) if joined else part, DATASETS)
            for key in DATASET_KEYS:
                if key in part:
                    check_dataset(part[key])
            check_pipeline(part.get('pipeline') or [])


def _first_of_joined(cfg: dict[str, Any]) -> dict[str, Any]:
    """The config of the first of the data sets that a list of annotation files makes."""
    own = {key: value for key, value in cfg.items() if key != 'separate_eval'}
    for key in LISTED_KEYS:
        if isinstance(own.get(key), list | tuple) and own[key]:
            own[key] = own[key][0]
    return own


def check_pipeline(steps: Any) -> None:
    """Check the configs of steps, and of the steps within them.

    Raises:
        ConfigKeyError, ConfigTypeError: see :func:`check_config`.
    """
    for step in steps:
        if isinstance(step, list | tuple):
            check_pipeline(step)
        elif isinstance(step, dict):
            with building(step):
                cls, _ = resolve(step, PIPELINES)
                # steps of other packages within a step, such as those of Albu, have registries of their own
                inner = [step[key] for key in STEPS_KEYS if isinstance(step.get(key), list | tuple)]
                for part in inner if cls.__module__.startswith('mmdet.') and step['type'] != 'Albu' else []:
                    check_pipeline(part)


def _hooks(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Configs of hooks, with ``type``, and their keys."""
    for name, kind in (('lr_config', 'LrUpdaterHook'), ('momentum_config', 'MomentumUpdaterHook')):
        if isinstance(cfg.get(name), dict):
            yield name, _of_policy(name, cfg[name], kind)
    for name, kind in (('optimizer_config', optimizer_hook_type(cfg)), ('checkpoint_config', 'CheckpointHook')):
        if isinstance(cfg.get(name), dict):
            yield name, {'type': kind, **cfg[name]}
    log_config = cfg.get('log_config') or {}
    for i, hook in enumerate(log_config.get('hooks', [])):
        yield f'log_config.hooks[{i}]', {'interval': log_config.get('interval'), **hook}
    custom = cfg.get('custom_hooks') or []
    for i, hook in enumerate([custom] if isinstance(custom, dict) else custom):
        if isinstance(hook, dict):
            yield f'custom_hooks[{i}]', {key: value for key, value in hook.items() if key != 'priority'}


def optimizer_hook_type(cfg: Config) -> str:
    """The hook of ``optimizer_config`` where that names none: one for mixed precision where ``fp16`` is set."""
    if cfg.get('fp16') is None:
        return 'OptimizerHook'
    cumulative = 'cumulative_iters' in (cfg.get('optimizer_config') or {})
    return 'GradientCumulativeAmpOptimizerHook' if cumulative else 'AmpOptimizerHook'


def _of_policy(name: str, cfg: dict[str, Any], suffix: str) -> dict[str, Any]:
    """The hook that mmcv makes of a schedule: ``policy='step'`` is the type ``StepLrUpdaterHook``."""
    settings = dict(cfg)
    policy = settings.pop('policy', None)
    policies = [known.removesuffix(suffix) for known in HOOKS.module_dict if known.endswith(suffix)]
    with config_key(name):
        if not isinstance(policy, str):
            raise ConfigKeyError(f"needs 'policy', one of {', '.join(sorted(policies))}.")
        title = policy.title() if policy == policy.lower() else policy
        if title + suffix not in HOOKS:
            near = did_you_mean(title, policies)
            raise ConfigKeyError(f'there is no policy {policy!r}{near} Known are: {", ".join(sorted(policies))}.')
    return {'type': title + suffix, **settings}


def _check_hook(name: str, cfg: dict[str, Any]) -> None:
    cls, arguments = _check(name, cfg, HOOKS)
    # most hooks of mmcv hand their **kwargs to the parent; a user's own may do otherwise
    accepted = inherited_arguments(cls) if cls.__module__.startswith(('mmcv.', 'mmdet.')) else None
    if cls.__module__.startswith(('mmcv.', 'mmdet.')) and issubclass(cls, CheckpointHook):
        # its other arguments go on to the runner's `save_checkpoint`
        own = inspect.signature(CheckpointHook).parameters.values()
        accepted = [*(p.name for p in own if p.kind is not p.VAR_KEYWORD), *SAVE_KEYS]
    unknown = [key for key in arguments if accepted is not None and key not in accepted]
    if accepted is not None and unknown:
        with config_key(name):
            raise ConfigTypeError(
                f'{cls.__name__} (in {cls.__module__}) does not take {unknown[0]!r}'
                f'{did_you_mean(unknown[0], accepted)} It accepts: {", ".join(accepted)}.'
            )
    if accepted is not None:
        check_hook_values(name, arguments)
        _try_hook(name, cls, arguments)


def _try_hook(name: str, cls: Any, arguments: dict[str, Any]) -> None:
    """Build a hook, whose constructor says what it refuses; packages and files that it lacks are reported later."""
    try:
        cls(**arguments)
    except (AssertionError, TypeError, ValueError) as error:
        given = ', '.join(f'{key}={value!r}' for key, value in arguments.items())
        with config_key(name):
            raise ConfigTypeError(
                f'{cls.__name__} refuses its arguments ({given}): {error or "out of range"}'
            ) from error
    except Exception:  # packages and files
        return


def _check(name: str, cfg: Any, registry: Registry, provided: dict[str, Any] | None = None) -> Any:
    with config_key(name), building(cfg):
        return resolve(cfg, registry, provided)
