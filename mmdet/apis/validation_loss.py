"""Losses of the validation data beside the figures of an evaluation, also of each source of a mixture."""

import copy
import random
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmcv.runner import BaseRunner
from torch.utils.data import DataLoader, Subset

from mmdet.apis.loaders import train_pipeline
from mmdet.datasets.builder import build_dataloader, build_dataset
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.mixing.sources import find_sources
from mmdet.utils.configs.config_error import ConfigKeyError, config_key


def with_pipeline(dataset: Any, pipeline: list[dict[str, Any]]) -> Any:
    """A data set's config (or a list of them) in which all innermost data sets have another pipeline."""
    if isinstance(dataset, (list, tuple)):
        return [with_pipeline(part, pipeline) for part in dataset]
    dataset = copy.copy(dataset)
    inner = [key for key in ('dataset', 'datasets') if key in dataset]
    for key in inner:
        dataset[key] = with_pipeline(dataset[key], pipeline)
    if not inner:
        dataset['pipeline'] = copy.deepcopy(pipeline)
    return dataset


def loss_dataset(cfg: Config, pipeline: list[dict[str, Any]] | None = None) -> DetectionDataset:
    """``data.val`` with its ground truth, its images as training sees them.

    Args:
        cfg: of the run.
        pipeline: in the place of the training's.

    Raises:
        ConfigKeyError: training mixes images, so that the pipeline of its data set makes no batches.
    """
    pipeline = pipeline or train_pipeline(cfg.data.train)
    if not any('Collect' in str(step.get('type')) for step in pipeline):
        raise ConfigKeyError(
            'losses of validation data: the pipeline of data.train ends without Collect, as that of a data set whose '
            'images are mixed does; give one with evaluation=dict(loss=dict(pipeline=[...]))'
        )
    with config_key('data.val'):
        return build_dataset(with_pipeline(cfg.data.val, pipeline))


class ValidationLoss:
    """Mean losses over the validation data; with several sources also of each of them.

    Their names end in ``_val``, and those of a source in its name: ``loss_val``, ``loss_cls_val/SOURCE``. Each
    evaluation draws the same random numbers, so that its losses can be compared with those of the others.

    Args:
        loaders: name of a source -> loader of its images.
    """

    def __init__(self, loaders: Mapping[str, DataLoader[Any]]) -> None:
        self.loaders = loaders

    @classmethod
    def of(cls, dataset: DetectionDataset, loader_args: Mapping[str, Any]) -> 'ValidationLoss':
        """Of a data set with any wrappers; ``loader_args`` are those of :func:`build_dataloader`."""
        names, owner = find_sources(dataset)
        whole: Any = dataset
        parts: dict[str, Any] = {
            name: Subset(whole, np.flatnonzero(owner == i).tolist()) for i, name in enumerate(names)
        }
        args = {**loader_args, 'shuffle': False}
        return cls({name: build_dataloader(part, **args) for name, part in parts.items() if len(part)})

    @torch.no_grad()
    def __call__(self, runner: BaseRunner) -> dict[str, float]:
        """Losses of the runner's model, as it stands; all processes must call it."""
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        runner.model.eval()
        means = {name: _means(runner, loader) for name, loader in self.loaders.items()}
        parts: dict[str, Any] = {name: loader.dataset for name, loader in self.loaders.items()}
        sizes = {name: len(part) for name, part in parts.items()}
        out: dict[str, float] = OrderedDict()
        for key in dict.fromkeys(key for own in means.values() for key in own):
            known = [name for name in means if key in means[name]]
            out[key] = sum(means[name][key] * sizes[name] for name in known) / sum(sizes[name] for name in known)
            if len(means) > 1:
                out.update({f'{key}/{name}': means[name][key] for name in known})
        return out


def validation_loss(cfg: Config, settings: Any, loader_args: Mapping[str, Any]) -> ValidationLoss | None:
    """What ``evaluation.loss`` asks for: True, a dict with the ``pipeline`` of the images, or None, False for nothing.

    Raises:
        ConfigKeyError: another value.
    """
    if not settings and not isinstance(settings, dict):
        return None
    if settings is not True and set(settings if isinstance(settings, dict) else 'x') - {'pipeline'}:
        raise ConfigKeyError(f'evaluation.loss: expected True, False or dict(pipeline=[...]), got {settings!r}')
    return ValidationLoss.of(loss_dataset(cfg, None if settings is True else settings.get('pipeline')), loader_args)


def _means(runner: BaseRunner, loader: DataLoader[Any]) -> dict[str, float]:
    """Mean of each loss over the images that a loader gives."""
    totals: dict[str, float] = OrderedDict()
    images = 0
    for batch in loader:
        outputs = runner.model.val_step(batch, None)
        images += outputs['num_samples']
        for key, value in outputs['log_vars'].items():
            if 'loss' in key:
                totals[key] = totals.get(key, 0.0) + float(value) * outputs['num_samples']
    return {key: value / images for key, value in totals.items()}
