"""What a person wants to know of a run before its first step, and after its last one."""

import logging
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mmcv
import torch
import torchvision
from mmcv import Config
from mmcv.runner import BaseRunner, get_dist_info
from torch import nn

from mmdet import __version__
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.misc import find_latest_checkpoint
from mmdet.utils.tool_command import tool_command

MAX_CLASSES_SHOWN = 8
PARTS = ('backbone', 'neck', 'rpn_head', 'bbox_head', 'mask_head', 'roi_head', 'panoptic_head')


def describe_run(
    cfg: Config, model: nn.Module, datasets: Sequence[Any], logger: logging.Logger, validate: bool = True
) -> str:
    """The run that is about to begin: model, data, schedule, where its logs are, one line each.

    Args:
        cfg: of the run, in today's keys.
        model: detector without wrapper.
        datasets: one for each entry of the workflow.
        logger: whose files are named.
        validate: there are evaluations.
    """
    lines = [
        f'model: {_model_text(model)}',
        f'data: {_data_text(datasets[0])}, {_validation_text(cfg) if validate else "not evaluated"}',
        f'schedule: {_schedule_text(cfg, len(datasets[0]))}',
        f'run: {"; ".join(_run_texts(cfg))}',
        f'work dir: {cfg.work_dir}{_files_text(cfg, logger)}',
        f'machine: {_machine_text()}',
    ]
    return '\n'.join(f'  {line}' for line in lines)


def images_of_iteration(cfg: Config) -> int:
    """Images that all processes together load for an iteration."""
    samples = (cfg.data.get('train_dataloader') or {}).get('samples_per_gpu') or cfg.data.get('samples_per_gpu', 2)
    return max(get_dist_info()[1], len(cfg.get('gpu_ids') or [0])) * samples


def effective_batch(cfg: Config) -> int:
    """Images that a step of the optimizer learns from, those of accumulated iterations among them."""
    return images_of_iteration(cfg) * (cfg.get('optimizer_config') or {}).get('cumulative_iters', 1)


def learning_rate_advice(cfg: Config) -> str | None:
    """What the linear rule makes of the learning rate, where the batch is not the one that it was made for."""
    settings = cfg.get('auto_scale_lr') or {}
    base, rate = settings.get('base_batch_size'), (cfg.get('optimizer') or {}).get('lr')
    batch = effective_batch(cfg)
    if settings.get('enable') or not base or rate is None or base == batch:
        return None
    return (
        f'a step learns from {batch} images, lr {rate:g} is meant for {base}: the linear rule gives '
        f'{rate * batch / base:g} (--auto-scale-lr takes it)'
    )


def describe_end(runner: BaseRunner, config: str | None, metric: str | Sequence[str]) -> str:
    """What a finished run leaves: its best checkpoint with the figures, and the command to go on with.

    Args:
        runner: of the run.
        config: name of the config file in the work dir; where there is none, no command is shown.
        metric: of the evaluation, a name or several.
    """
    messages = (runner.meta or {}).get('hook_msgs', {})
    best, latest = messages.get('best_ckpt'), find_latest_checkpoint(runner.work_dir)
    lines = [f'training is done: {runner.epoch} epochs, {runner.iter} iterations']
    if best:
        lines.append(f'  best checkpoint: {best} ({_best_figure(best)}{messages["best_score"]:.4f})')
    # -1 stands for figures of what the data do not have, such as large objects
    # -1 stands for figures of what the data do not have, such as large objects; those of classes are too many here
    figures = {
        name: value for name, value in messages.get('best_figures', {}).items() if value != -1 and '/' not in name
    }
    if best and figures:
        lines.append(f'  its figures: {", ".join(f"{name} {value:.3f}" for name, value in figures.items())}')
    if latest:
        lines.append(f'  last checkpoint: {latest}')
    checkpoint = best or latest
    if checkpoint and config and Path(runner.work_dir, config).is_file():
        lines.append(f'  next: {test_command(Path(runner.work_dir, config), checkpoint, metric)}')
    return '\n'.join(lines)


def test_command(config: Path, checkpoint: str | Path, metric: str | Sequence[str]) -> str:
    """The command that tests a checkpoint and draws what it finds, into a folder beside the config.

    Args:
        config: file.
        checkpoint: file.
        metric: of the evaluation, a name or several; none where it is not known.
    """
    names = [metric] if isinstance(metric, str) else metric
    figures = f' --eval {" ".join(names)}' if names else ''
    paths = (config, checkpoint, config.with_name('pictures'))
    config_path, weights, pictures = (shlex.quote(str(path)) for path in paths)
    return f'{tool_command("test.py")} {config_path} {weights}{figures} --show-dir {pictures}'


def _best_figure(path: str) -> str:
    """``best_bbox_mAP_epoch_3.pth`` -> ``bbox_mAP ``."""
    stem = Path(path).stem.removeprefix('best_')
    return f'{stem.rsplit("_", 2)[0]} '


def _model_text(model: nn.Module) -> str:
    model = unwrap_model(model)
    kinds = [type(getattr(model, name)).__name__ for name in PARTS if getattr(model, name, None) is not None]
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total, learning = sum(size for size, _ in sizes), sum(size for size, grad in sizes if grad)
    frozen = '' if total == learning else f', {_millions(learning)} of them learn'
    return f'{type(model).__name__} ({", ".join(kinds)}), {_millions(total)} parameters{frozen}'


def _millions(number: int) -> str:
    return f'{number / 1e6:.1f} M' if number >= 1e5 else str(number)


def _data_text(dataset: Any) -> str:
    classes = list(getattr(dataset, 'CLASSES', None) or ())
    names = ', '.join(map(str, classes[:MAX_CLASSES_SHOWN])) + (', ...' if len(classes) > MAX_CLASSES_SHOWN else '')
    kind = type(dataset).__name__
    parts = len(list(_parts(dataset)))
    of = f'{kind} of {parts} data sets' if parts > 1 else kind
    return f'{len(dataset)} images an epoch ({of}), {len(classes)} classes{f" ({names})" if classes else ""}'


def _parts(dataset: Any) -> Iterator[Any]:
    """Data sets within wrappers."""
    inner = getattr(dataset, 'datasets', None) or ([dataset.dataset] if hasattr(dataset, 'dataset') else [])
    for part in inner:
        yield from _parts(part)
    if not inner:
        yield dataset


def _validation_text(cfg: Config) -> str:
    settings = cfg.get('evaluation') or {}  # without any the hook evaluates every epoch, or every iteration
    unit = 'iterations' if not settings.get('by_epoch', 'Epoch' in cfg.runner['type']) else 'epochs'
    metric = settings.get('metric')
    metrics = ', '.join(metric) if isinstance(metric, list | tuple) else metric
    best = f', the best by {settings["save_best"]} is kept' if settings.get('save_best') else ''
    interval = settings.get('interval', 1)
    each = unit[:-1] if interval == 1 else f'{interval} {unit}'
    return f'evaluated{f" by {metrics}" if metrics else ""} every {each}{best}'


def _schedule_text(cfg: Config, images: int) -> str:
    batch, optimizer, rates = effective_batch(cfg), cfg.get('optimizer') or {}, cfg.get('lr_config') or {}
    length = f'{cfg.runner.get("max_iters")} iterations'
    if cfg.runner.get('max_epochs') is not None:
        # a sampler with fixed ratios has its own length
        each = '' if cfg.data.get('source_ratio') else f' of {-(-images // images_of_iteration(cfg))} iterations'
        length = f'{cfg.runner["max_epochs"]} epochs{each}'
    text = f'{length}, {batch} images a step; {optimizer.get("type")}, lr {optimizer.get("lr")}'
    if rates.get('policy'):
        steps = f' at {rates["step"]}' if 'step' in rates else ''
        warmup = f', {rates["warmup_iters"]} iterations of warm-up' if rates.get('warmup') else ''
        text += f', policy {rates["policy"]}{steps}{warmup}'
    return text


def _run_texts(cfg: Config) -> Iterator[str]:
    yield f'seed {cfg.get("seed")}'
    world = get_dist_info()[1]
    if world > 1:
        yield f'{world} processes'
    if cfg.get('fp16') is not None:
        yield f'mixed precision ({cfg.fp16.get("dtype", "float16")})'
    if cfg.get('load_from'):
        yield f'begins with the weights of {cfg.load_from}'
    for hook in cfg.get('custom_hooks') or []:
        if isinstance(hook, dict) and hook.get('type') == 'EarlyStoppingHook':
            yield f'early stopping after {hook.get("patience", 5)} evaluations without improvement'
    if cfg.get('per_source_log'):
        yield 'losses by source in the log'


def _files_text(cfg: Config, logger: logging.Logger) -> str:
    logs = [Path(h.baseFilename).name for h in logger.handlers if isinstance(h, logging.FileHandler)]
    config = f', config {Path(cfg.filename).name}' if cfg.filename else ''
    return f' (log {", ".join(logs)}{config})' if logs else ''


def _machine_text() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f'CPU, {torch.get_num_threads()} threads'
    versions = f'torch {torch.__version__}, torchvision {torchvision.__version__}, mmcv {mmcv.__version__}'
    return f'{device}; mmdet {__version__}, {versions}'
