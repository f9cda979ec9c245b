"""Optimizer, schedule and length of a run of mmdetection 3.x in the keys of 2.x."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.apis.conversion.rules import ConversionError

LOOPS = dict(
    EpochBasedTrainLoop=('EpochBasedRunner', 'max_epochs'),
    IterBasedTrainLoop=('IterBasedRunner', 'max_iters'),
)
WRAPPERS = ('OptimWrapper', 'AmpOptimWrapper')


def convert_schedule(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """``optimizer``, ``optimizer_config``, ``lr_config`` and ``runner``, and ``fp16`` for mixed precision.

    Raises:
        ConversionError: a wrapper, a schedule or a loop has no counterpart.
    """
    loop = dict(cfg.get('train_cfg') or {})
    # without a type, the keys tell the loops apart
    kind = loop.get('type') or ('EpochBasedTrainLoop' if 'max_epochs' in loop else 'IterBasedTrainLoop')
    if kind not in LOOPS:
        raise ConversionError(f'train_cfg: the loop {kind} is not converted; known are {", ".join(LOOPS)}')
    runner, length = LOOPS[kind]
    out = convert_optimizer(cfg['optim_wrapper'])
    out['lr_config'] = convert_scheduler(cfg.get('param_scheduler') or [], by_epoch=runner == 'EpochBasedRunner')
    out['runner'] = {'type': runner, length: loop[length]}
    return out


def convert_optimizer(wrapper: Mapping[str, Any]) -> dict[str, Any]:
    """``optimizer`` with ``paramwise_cfg`` in it, ``optimizer_config``, and ``fp16`` of ``AmpOptimWrapper``."""
    wrapper = dict(wrapper)
    kind = wrapper.pop('type', 'OptimWrapper')
    if kind not in WRAPPERS:
        raise ConversionError(f'optim_wrapper: {kind} is not converted; known are {", ".join(WRAPPERS)}')
    optimizer = dict(wrapper.pop('optimizer'))
    for key in ('paramwise_cfg', 'constructor'):
        if wrapper.get(key):
            optimizer[key] = wrapper[key]
        wrapper.pop(key, None)
    out: dict[str, Any] = dict(optimizer=optimizer, optimizer_config=dict(grad_clip=wrapper.pop('clip_grad', None)))
    if kind == 'AmpOptimWrapper':
        out['fp16'] = dict(loss_scale=wrapper.pop('loss_scale', 'dynamic'))
    if wrapper.get('accumulative_counts', 1) == 1:
        wrapper.pop('accumulative_counts', None)
    if wrapper:
        raise ConversionError(f'optim_wrapper: {", ".join(sorted(wrapper))} have no counterpart in 2.x')
    return out


def convert_scheduler(schedulers: Mapping[str, Any] | Sequence[Mapping[str, Any]], by_epoch: bool) -> dict[str, Any]:
    """``lr_config`` from a linear warm-up, if there is one, and one schedule that follows.

    Raises:
        ConversionError: another combination.
    """
    rest = [dict(schedulers)] if isinstance(schedulers, Mapping) else [dict(s) for s in schedulers]
    out: dict[str, Any] = {}
    if rest and rest[0]['type'] == 'LinearLR' and rest[0].get('end_factor', 1.0) == 1.0:
        first = rest.pop(0)
        out.update(warmup='linear', warmup_iters=first['end'] - first.get('begin', 0))
        out['warmup_ratio'] = first.get('start_factor', 1 / 3)
        out['warmup_by_epoch'] = first.get('by_epoch', True)
    if not rest:
        return dict(out, policy='fixed')
    if len(rest) > 1 or rest[0]['type'] not in ('MultiStepLR', 'CosineAnnealingLR'):
        names = ', '.join(scheduler['type'] for scheduler in rest)
        raise ConversionError(
            f'param_scheduler: after a LinearLR one MultiStepLR or CosineAnnealingLR is converted, got {names}'
        )
    last = rest[0]
    if last.get('by_epoch', True) != by_epoch:
        raise ConversionError(
            f'param_scheduler: {last["type"]} counts in other units than the run, epochs or iterations; '
            'write lr_config by hand'
        )
    if last['type'] == 'MultiStepLR':
        return dict(out, policy='step', step=list(last['milestones']), gamma=last.get('gamma', 0.1), by_epoch=by_epoch)
    if last.get('begin', 0) > 0:
        raise ConversionError('param_scheduler: a CosineAnnealingLR that begins later has no counterpart in 2.x')
    return dict(out, policy='CosineAnnealing', min_lr=last.get('eta_min', 0.0), by_epoch=by_epoch)
