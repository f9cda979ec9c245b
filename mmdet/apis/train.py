"""Training a detector from a config: seeds, loaders, wrappers, hooks, runner."""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from mmcv import Config, ConfigDict
from mmcv.runner import HOOKS, BaseRunner, DistSamplerSeedHook, EpochBasedRunner, IterBasedRunner
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from mmdet import __version__
from mmdet.apis.checking.config_check import check_config, optimizer_hook_type
from mmdet.apis.checking.layer_widths import check_layers
from mmdet.apis.checking.metrics import metrics_of
from mmdet.apis.checks import audit, check_sample
from mmdet.apis.loaders import batch_test_pipeline, loader_args
from mmdet.apis.report.training import latest_results, report_settings, report_training
from mmdet.apis.resuming import resume_point, say_if_finished
from mmdet.apis.run_summary import describe_end, describe_run, effective_batch, learning_rate_advice
from mmdet.apis.test import multi_gpu_test, single_gpu_test
from mmdet.apis.validation_loss import validation_loss
from mmdet.core.evaluation.eval_hooks import DistEvalHook, EvalHook, MissedEvaluationHook
from mmdet.core.hook.diagnostics.out_of_memory import explained_memory
from mmdet.core.hook.diagnostics.progress_line_hook import ProgressLineHook
from mmdet.core.hook.diagnostics.source_charts_hook import SourceChartsHook
from mmdet.core.hook.diagnostics.timing_hook import DataTimeHook
from mmdet.core.hook.interruption_hook import InterruptionHook
from mmdet.core.hook.nonfinite_hook import NonFiniteHook
from mmdet.core.hook.schedules.freeze_hook import freeze_as_hooks_will
from mmdet.core.hook.schedules.set_iter_hook import SetIterHook
from mmdet.core.hook.schedules.set_progress_hook import SetProgressHook
from mmdet.core.optimizers.builder import build_optimizer
from mmdet.core.utils.dist_utils import sync_random_seed
from mmdet.datasets.builder import build_dataloader, build_dataset
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.mixing.sources import find_sources
from mmdet.datasets.samplers.source_sampler import SourceBatchSampler
from mmdet.datasets.utils import replace_ImageToTensor  # noqa: F401 - 2.x has it here as well
from mmdet.models.source_log import SourceLog
from mmdet.utils.checkpoints.checkpoint import (
    CheckpointMismatchError,
    check_classes,
    load_with_report,
    set_checkpoint_trust,
    unwrap_model,
)
from mmdet.utils.compat_config import compat_cfg
from mmdet.utils.configs.config_error import config_key
from mmdet.utils.logger import get_root_logger
from mmdet.utils.registry import build_from_cfg
from mmdet.utils.running.run_lock import run_lock
from mmdet.utils.running.runner import build_runner
from mmdet.utils.util_distribution import build_ddp, build_dp, get_device

# loader settings that say how often images of a training set come
MIXING_KEYS = ('source_ratio', 'repeat_factors')


def init_random_seed(seed: int | None = None, device: str = 'cuda') -> int:
    """The seed of a run, the same on all processes: ``seed``, else one drawn by rank 0.

    Args:
        seed: given by the user.
        device: where the number is for a moment while it is sent; a machine without GPU uses the CPU.
    """
    return seed if seed is not None else sync_random_seed(None, device)


def set_random_seed(seed: int, deterministic: bool = False) -> None:
    """Seed python, numpy and torch.

    Args:
        seed: in [0, 2**32).
        deterministic: choose cuDNN's deterministic algorithms, which may be slower.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if deterministic:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def auto_scale_lr(cfg: Config, distributed: bool, logger: logging.Logger) -> None:
    """Scale ``cfg.optimizer.lr`` with the batch size, where ``cfg.auto_scale_lr.enable`` asks for it.

    The config's rate is meant for ``auto_scale_lr.base_batch_size`` images a step.

    Without that, the log says what the linear rule would give, where the batch is another.

    Args:
        cfg: changed.
        distributed: not needed any more; processes are counted by ``torch.distributed``, else by ``cfg.gpu_ids``.
        logger: gets the old and the new rate.
    """
    settings = cfg.get('auto_scale_lr') or {}
    if not settings.get('enable', False):
        advice = learning_rate_advice(cfg)
        if advice is not None:
            logger.info(advice)
        return
    base = settings.get('base_batch_size')
    if base is None:
        logger.warning('auto_scale_lr.base_batch_size is missing: the learning rate is not scaled')
        return
    batch = effective_batch(cfg)
    rate = cfg.optimizer.lr * batch / base
    logger.info(f'{batch} images a step, {base} expected: lr {cfg.optimizer.lr} becomes {rate}')
    cfg.optimizer.lr = rate


def train_detector(
    model: nn.Module,
    dataset: DetectionDataset | list[DetectionDataset],
    cfg: Config,
    distributed: bool = False,
    validate: bool = False,
    timestamp: str | None = None,
    meta: dict[str, Any] | None = None,
    started: Callable[[], None] | None = None,
) -> None:
    """Train a detector as its config says.

    Args:
        model: detector; it is moved to ``cfg.device`` and trained in place.
        dataset: training data, or one data set for each entry of ``cfg.workflow``.
        cfg: config in any spelling of mmdetection 2.x; not changed.
        distributed: this is one of several processes (``torch.distributed`` is initialised).
        validate: evaluate on ``cfg.data.val`` as ``cfg.evaluation`` says.
        timestamp: names the log files.
        meta: goes into checkpoints.
        started: called when all checks have passed, just before the first step.

    Raises:
        RunLockError: another run is at work in ``cfg.work_dir``.
        RunInterruptedError: the process was told to end (SIGTERM, SIGUSR1); a checkpoint is written.
    """
    cfg = compat_cfg(cfg)
    check_config(cfg)
    check_layers(model, cfg)
    report_settings(cfg.get('report') or {})
    set_checkpoint_trust(cfg.get('trust_checkpoint', False))
    logger = get_root_logger(log_level=cfg.get('log_level', 'INFO'))
    datasets = dataset if isinstance(dataset, (list, tuple)) else [dataset]
    if getattr(model, 'CLASSES', None) is None:
        model.CLASSES = getattr(datasets[0], 'CLASSES', None)  # type: ignore[assignment]
    logger.info(f'training:\n{describe_run(cfg, model, datasets, logger, validate)}')
    # every check that can fail comes before the first step
    for part in datasets:
        audit(part, model, cfg, logger, training=True)
        check_sample(part, model, 'data.train', training=True)
    with config_key('data'):
        loaders = _build_loaders(datasets, cfg, distributed)
    val_loader = _build_val_loader(model, cfg, distributed, logger) if validate else None
    if cfg.get('per_source_log', False):
        model.source_log = SourceLog(model, find_sources(datasets[0]).names)  # type: ignore[assignment]

    freeze_as_hooks_will(model, cfg.get('custom_hooks') or ())
    model = _wrap(model, cfg, distributed)
    auto_scale_lr(cfg, distributed, logger)
    optimizer = build_optimizer(model, cfg.optimizer)
    runner = _build_runner(model, optimizer, cfg, logger, timestamp, meta)
    _register_hooks(runner, cfg, distributed or isinstance(loaders[0].batch_sampler, SourceBatchSampler))
    if val_loader is not None:
        _register_evaluation(runner, val_loader, cfg, distributed)
    with run_lock(cfg.work_dir):
        _load_or_resume(runner, cfg)
        if started is not None:
            started()
        with explained_memory(runner):
            runner.run(loaders, [tuple(flow) for flow in cfg.get('workflow', [('train', 1)])])
        if cfg.get('report') is not None and runner.rank == 0:
            report_training(cfg, latest_results(runner), logger)
    logger.info(describe_end(runner, (meta or {}).get('exp_name'), metrics_of(cfg)))


def _build_loaders(datasets: list[DetectionDataset], cfg: Config, distributed: bool) -> list[DataLoader[Any]]:
    """One loader for each entry of the workflow; validation losses need no shuffling."""
    workflow = cfg.get('workflow', [('train', 1)])
    if len(datasets) != len(workflow):
        raise ValueError(f'workflow {list(workflow)} needs {len(workflow)} data sets, got {len(datasets)}')
    args = loader_args(
        cfg.data.train_dataloader,
        samples_per_gpu=2,
        workers_per_gpu=2,
        num_gpus=len(cfg.get('gpu_ids', [0])),
        dist=distributed,
        seed=cfg.get('seed'),
        runner_type=cfg.runner['type'],
        persistent_workers=False,
    )
    # losses of validation data are those of each image once, in order
    plain = {**{key: value for key, value in args.items() if key not in MIXING_KEYS}, 'shuffle': False}
    return [build_dataloader(part, **(plain if mode == 'val' else args)) for part, (mode, _) in zip(datasets, workflow)]


def _build_val_loader(model: nn.Module, cfg: Config, distributed: bool, logger: logging.Logger) -> DataLoader[Any]:
    args = _val_loader_args(cfg, distributed)
    with config_key('data.val'):
        dataset = build_dataset(batch_test_pipeline(cfg.data.val, args['samples_per_gpu']), dict(test_mode=True))
    audit(dataset, model, cfg, logger)
    check_sample(dataset, model, 'data.val')
    return build_dataloader(dataset, **args)


def _val_loader_args(cfg: Config, distributed: bool) -> dict[str, Any]:
    return loader_args(
        cfg.data.val_dataloader,
        samples_per_gpu=1,
        workers_per_gpu=2,
        dist=distributed,
        shuffle=False,
        persistent_workers=False,
    )


def _wrap(model: nn.Module, cfg: Config, distributed: bool) -> nn.Module:
    device = cfg.get('device') or get_device()
    if not distributed:
        return build_dp(model, device, device_ids=list(cfg.get('gpu_ids', [0])))
    return build_ddp(
        model,
        device,  # of several GPUs the current one, which the launcher chose
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


def _build_runner(
    model: nn.Module,
    optimizer: Optimizer,
    cfg: Config,
    logger: logging.Logger,
    timestamp: str | None,
    meta: dict[str, Any] | None,
) -> BaseRunner:
    parts = dict(model=model, optimizer=optimizer, work_dir=cfg.work_dir, logger=logger, meta=meta)
    runner = build_runner(cfg.runner, default_args=parts)
    if timestamp is not None:
        # one name for the text log and the JSON lines
        runner.timestamp = timestamp
    return runner


def _register_hooks(runner: BaseRunner, cfg: Config, epochs_to_sampler: bool) -> None:
    """The hooks of the config and ours; ``epochs_to_sampler``: the order of the data depends on the epoch."""
    checkpoint_config = cfg.get('checkpoint_config')
    if checkpoint_config is not None:
        checkpoint_config.setdefault('type', 'ResumableCheckpointHook')
        checkpoint_config.setdefault('meta', ConfigDict(mmdet_version=__version__))
    runner.register_training_hooks(
        cfg.get('lr_config'),
        _optimizer_hook(cfg),
        checkpoint_config,
        cfg.get('log_config'),
        cfg.get('momentum_config'),
        custom_hooks_config=cfg.get('custom_hooks'),
    )
    # before the step of the optimizer (ABOVE_NORMAL, 40)
    runner.register_hook(NonFiniteHook(cfg.get('on_nonfinite', 'stop')), priority='VERY_HIGH')
    # behind the timer (LOW, 70), before the loggers (VERY_LOW, 90)
    runner.register_hook(DataTimeHook(), priority=80)
    runner.register_hook(SetIterHook())
    runner.register_hook(SetProgressHook())
    if cfg.get('per_source_log', False):
        runner.register_hook(SourceChartsHook(), priority='LOWEST')
    runner.register_hook(ProgressLineHook(), priority='LOWEST')
    runner.register_hook(InterruptionHook(), priority='LOWEST')
    if epochs_to_sampler and isinstance(runner, EpochBasedRunner):
        runner.register_hook(DistSamplerSeedHook())


def _optimizer_hook(cfg: Config) -> Any:
    """``optimizer_config``, and the hook for mixed precision where ``fp16`` is set and names no other."""
    config, fp16 = cfg.get('optimizer_config'), cfg.get('fp16')
    config = ConfigDict() if config is None else config
    if fp16 is None or not isinstance(config, dict):
        return config
    with config_key('optimizer_config'):
        return build_from_cfg({'type': optimizer_hook_type(cfg), **config, **fp16}, HOOKS)


def _register_evaluation(runner: BaseRunner, loader: DataLoader[Any], cfg: Config, distributed: bool) -> None:
    settings = dict(cfg.get('evaluation') or {})
    settings.setdefault('by_epoch', not isinstance(runner, IterBasedRunner))
    hook = DistEvalHook if distributed else EvalHook
    settings.setdefault('test_fn', multi_gpu_test if distributed else single_gpu_test)
    settings['loss'] = validation_loss(cfg, settings.get('loss'), _val_loader_args(cfg, distributed))
    # behind the checkpoint of the same moment, which `save_best` may repeat under another name
    evaluation = hook(loader, **settings)
    runner.register_hook(evaluation, priority='LOW')
    runner.register_hook(MissedEvaluationHook(evaluation), priority='LOWEST')


def _load_or_resume(runner: BaseRunner, cfg: Config) -> None:
    resume_from = resume_point(cfg)
    if resume_from:
        runner.resume(resume_from)
        say_if_finished(runner)
    elif cfg.get('load_from'):
        load_initial_weights(runner.model, cfg.load_from, runner.logger, cfg.get('min_loaded_fraction', 0.5))


def _warn_of_other_classes(saved: Sequence[str] | None, model: nn.Module, path: str, logger: logging.Logger) -> None:
    """Tell that weights of as many classes are loaded for others; with another number the outputs do not fit."""
    wanted = getattr(model, 'CLASSES', None)
    if saved and wanted and len(saved) == len(wanted):
        try:
            check_classes(saved, wanted, path, 'Outputs are loaded as they are: those of one class begin as another.')
        except CheckpointMismatchError as error:
            logger.warning(f'load_from: {error}')


def load_initial_weights(model: nn.Module, path: str, logger: logging.Logger, min_fraction: float) -> None:
    """Load what fits of a checkpoint, and report it in one table.

    Args:
        model: wrapped or not.
        path: of the checkpoint.
        logger: gets the table.
        min_fraction: of the backbone's numbers (of the model's, where it has no backbone) that must be in the file.

    Raises:
        CheckpointMismatchError: fewer are.
    """
    content, report = load_with_report(model, path, 'cpu', logger)
    _warn_of_other_classes((content.get('meta') or {}).get('CLASSES'), unwrap_model(model), path, logger)
    sizes = {name: tensor.numel() for name, tensor in unwrap_model(model).state_dict().items()}
    names = [name for name in sizes if name.startswith('backbone.')] or list(sizes)
    total, loaded = sum(sizes[name] for name in names), set(report.loaded)
    fraction = sum(sizes[name] for name in names if name in loaded) / max(total, 1)
    logger.log(logging.INFO if report.exact else logging.WARNING, f'load_from:\n{report.table(path)}')
    if fraction < min_fraction:
        what = 'backbone' if names[0].startswith('backbone.') else 'model'
        raise CheckpointMismatchError(
            f'load_from: {path} has {fraction:.0%} of the numbers of the {what}, at least {min_fraction:.0%} are '
            f'expected: is it of another model? {report.text(path)}\nmin_loaded_fraction=0 in the config accepts it.'
        )
