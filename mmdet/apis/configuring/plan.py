"""What of a config depends on the data: image size, batch, learning rate, epochs; each with a sentence why."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmcv.runner import HOOKS

from mmdet.apis.configuring.facts import Facts

LARGEST = (1333, 800)  # px, long and short side; what detectors of COCO see
LARGEST_SMALL = (512, 384)
SMALLEST = 160  # px, short side
OBJECT_SIDE = 32.0  # px; images are enlarged until the median object has it
MULTIPLE = 32  # px
ITERATIONS = 4000  # of a training that begins from pretrained weights, and of a small model
EPOCHS = (12, 100)  # at least and at most
LONG_SCHEDULE = 100  # epochs of a base config from which on its schedule is made of one piece
EVALUATIONS = 12  # about so many in a training
PATIENCE = 5  # evaluations without a better one, after which the training ends
EARLY_STOPPING = 'EarlyStoppingHook'


class Settings(NamedTuple):
    """Keys of a config and the reasons for their values."""

    values: dict[str, Any]
    reasons: dict[str, str]  # by the same keys


def round_up(value: float) -> int:
    """To a multiple of 32 px."""
    return max(math.ceil(value / MULTIPLE - 1e-9), 1) * MULTIPLE


def image_scale(facts: Facts, small: bool) -> tuple[tuple[int, int], float, str]:
    """Size of the images in training.

    Returns:
        (long, short) side, px; the factor that images of the median size are resized by; and the reason.
    """
    limits = LARGEST_SMALL if small else LARGEST
    long, short = (max(side, 1) for side in facts.size_wh)
    wanted = max(1.0, OBJECT_SIDE / facts.side if facts.side else 1.0, SMALLEST / short)
    # not by more than three: there is no more to see
    factor = min(limits[0] / long, limits[1] / short, min(wanted, 3.0))
    scale = round_up(long * factor), round_up(short * factor)
    factor = min(scale[0] / long, scale[1] / short)
    reason = f'images have {long} x {short} px (median), objects {facts.side:.0f} px, here {facts.side * factor:.0f} px'
    return scale, factor, reason


def with_scale(pipeline: list[dict[str, Any]], scale: tuple[int, int]) -> list[dict[str, Any]] | None:
    """A copy of a pipeline that resizes to another size; None where it is of another kind (crops, several sizes)."""
    steps = copy.deepcopy(pipeline)
    if any(step['type'] in ('AutoAugment', 'RandomCrop', 'Mosaic', 'Expand', 'MinIoURandomCrop') for step in steps):
        return None
    resized = [step for step in steps if step['type'] in ('Resize', 'MultiScaleFlipAug') and 'img_scale' in step]
    if len(resized) != 1 or not resized[0].get('keep_ratio', True):
        return None
    resized[0]['img_scale'] = scale
    resized[0].pop('multiscale_mode', None)
    return steps


def schedule(
    base: Mapping[str, Any], facts: Facts, batch: int, gpus: int, metric: Sequence[str], epochs: int | None = None
) -> Settings:
    """Batch, learning rate, epochs and evaluation.

    Args:
        base: the base config.
        facts: of the training data.
        batch: images a GPU.
        gpus: their number.
        metric: of the evaluation, the last decides which checkpoint is the best.
        epochs: None: by the size of the data, or those of a base config with a long schedule.
    """
    values: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    base_batch = (base.get('auto_scale_lr') or {}).get('base_batch_size', 16)
    lr = base['optimizer']['lr'] * batch * gpus / base_batch
    values['optimizer'] = dict(lr=float(f'{lr:.3g}'))
    reasons['optimizer'] = (
        f'linear rule: {base["optimizer"]["lr"]:g} at a batch of {base_batch}, here {batch} x {gpus} GPU(s)'
    )
    per_epoch = max(math.ceil(facts.images / (batch * gpus)), 1)
    base_epochs = base['runner'].get('max_epochs', EPOCHS[0])
    if epochs is not None or base_epochs < LONG_SCHEDULE:
        reasons['runner'] = f'{facts.images} images are {per_epoch} steps an epoch'
        epochs = epochs or min(max(round(ITERATIONS / per_epoch), EPOCHS[0]), EPOCHS[1])
        values['runner'] = dict(type='EpochBasedRunner', max_epochs=epochs)
        policy = learning_rate(base.get('lr_config') or {}, epochs, per_epoch)
        values.update(dict(lr_config=policy) if policy else {})
    epochs = epochs or base_epochs
    interval = max(epochs // EVALUATIONS, 1)
    best = f'{metric[-1]}_mAP'
    names = list(metric) if len(metric) > 1 else metric[0]
    values['evaluation'] = dict(interval=interval, metric=names, classwise=True, save_best=best)
    reasons['evaluation'] = f'the best checkpoint is kept as best_{best}_epoch_*.pth'
    values['report'] = {}
    reasons['report'] = 'the training ends with a page about it, report.html in the work dir'
    values['checkpoint_config'] = dict(interval=interval, max_keep_ckpts=2)
    values['log_config'] = dict(interval=min(50, max(per_epoch // 2, 1)))
    if EARLY_STOPPING in HOOKS:
        hooks = [dict(hook) for hook in base.get('custom_hooks') or []]
        values['custom_hooks'] = [*hooks, dict(type=EARLY_STOPPING, monitor=best, patience=PATIENCE)]
        reasons['custom_hooks'] = f'ends the training after {PATIENCE} evaluations without a better one'
    return Settings(values, reasons)


def learning_rate(policy: Mapping[str, Any], epochs: int, per_epoch: int) -> dict[str, Any]:
    """What changes in ``lr_config`` with the length of a training: the warm-up, and the epochs of a step policy."""
    changed: dict[str, Any] = {}
    if policy.get('warmup') and not policy.get('warmup_by_epoch'):
        changed['warmup_iters'] = max(min(policy.get('warmup_iters', 500), per_epoch * epochs // 10), 1)
    if policy.get('policy') == 'step':
        changed['step'] = [round(epochs * 2 / 3), round(epochs * 11 / 12)]
    return changed
