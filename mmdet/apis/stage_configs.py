"""Configs of single stages, made from the config of a whole two-stage detector."""

import copy
from collections.abc import Iterator
from typing import Any

from mmcv import Config, ConfigDict

from mmdet.apis.stage_plan import Stage, StagePlanError

PROPOSALS = 'proposals'


def stage_config(cfg: Config, stage: Stage) -> Config:
    """A copy of the config with the stage's options, detector, frozen parts and pipelines.

    Raises:
        StagePlanError: the model has no part that the stage wants.
    """
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(dict(stage.options))
    cfg.model = stage_model(cfg.model, stage.detector)
    if stage.detector == 'FastRCNN':
        for split in ('train', 'val', 'test'):
            for dataset in leaf_datasets(cfg.data[split]):
                dataset.pipeline = with_proposals(dataset.pipeline)
    if stage.frozen:
        hooks = [ConfigDict(type='FreezeHook', parts=list(stage.frozen), priority='VERY_HIGH')]
        cfg.custom_hooks = hooks + list(cfg.get('custom_hooks') or [])
    return cfg


def stage_model(model: ConfigDict, detector: str) -> ConfigDict:
    """Config of the part of a two-stage detector that a stage trains; parameters keep their names.

    Args:
        model: config of the whole detector.
        detector: ``'whole'``, ``'RPN'`` or ``'FastRCNN'``.

    Raises:
        StagePlanError: the model lacks a head.
    """
    if detector == 'whole':
        return copy.deepcopy(model)
    head, section = ('rpn_head', 'rpn') if detector == 'RPN' else ('roi_head', 'rcnn')
    if head not in model:
        raise StagePlanError(f'a stage trains {detector}, but the {model.type} of the config has no {head}')
    left_out = {'rpn_head', 'roi_head', 'train_cfg', 'test_cfg'} - {head}
    if detector == 'FastRCNN':
        left_out.add('fixed_size')  # its proposals are read from files
    part = ConfigDict({key: copy.deepcopy(value) for key, value in model.items() if key not in left_out})
    part.setdefault('neck', None)
    part.type = detector
    for mode in ('train_cfg', 'test_cfg'):
        part[mode] = ConfigDict({section: copy.deepcopy(model[mode][section])})
    return part


def leaf_datasets(dataset: Any) -> Iterator[ConfigDict]:
    """The configs of the data sets inside wrappers and lists, in order; changing them changes ``dataset``."""
    if isinstance(dataset, (list, tuple)):
        for part in dataset:
            yield from leaf_datasets(part)
    elif 'datasets' in dataset or 'dataset' in dataset:
        yield from leaf_datasets(dataset.get('datasets') or dataset['dataset'])
    else:
        yield dataset


def with_proposals(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A pipeline, for training or for testing, that loads proposals, carries them along and collects them."""
    if any(step['type'] == 'LoadProposals' for step in pipeline):
        return pipeline
    steps: list[dict[str, Any]] = []
    for step in pipeline:
        step = ConfigDict(copy.deepcopy(step))
        if step['type'] == 'MultiScaleFlipAug':
            step['transforms'] = _collecting_proposals(step['transforms'])
        steps.append(step)
        if step['type'].startswith('LoadImage'):
            steps.append(ConfigDict(type='LoadProposals', num_max_proposals=None))
    return _collecting_proposals(steps)


def _collecting_proposals(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps whose ``Collect`` gives proposals, too; where no bundle makes tensors of them, steps that do."""
    bundled = any(step['type'] == 'DefaultFormatBundle' for step in steps)
    out: list[dict[str, Any]] = []
    for step in steps:
        if step['type'] in ('Collect', 'RobustCollect'):
            if not bundled:
                out.append(ConfigDict(type='ToTensor', keys=[PROPOSALS]))
                field = dict(key=PROPOSALS, stack=False)
                out.append(ConfigDict(type='ToDataContainer', fields=[field]))
            step = ConfigDict({**step, 'keys': [*step['keys'], PROPOSALS]})
        out.append(step)
    return out
