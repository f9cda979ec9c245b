"""Loader settings from configs, for training and testing."""

import copy
from collections.abc import Iterator
from typing import Any

from mmdet.datasets.utils import replace_ImageToTensor


def loader_args(overrides: dict[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """Arguments of ``build_dataloader``: the defaults, with those of ``cfg.data.<split>_dataloader`` on top."""
    return {**defaults, **(overrides or {})}


def innermost(dataset: Any) -> Iterator[dict[str, Any]]:
    """The configs in a data set's config (or a list of them) that wrap no other."""
    if isinstance(dataset, (list, tuple)):
        for part in dataset:
            yield from innermost(part)
    elif 'dataset' in dataset or 'datasets' in dataset:
        yield from innermost(dataset.get('datasets', dataset.get('dataset')))
    else:
        yield dataset


def batch_test_pipeline(dataset: Any, samples_per_gpu: int) -> Any:
    """A data set's config (or a list of them) whose test pipelines can make batches of ``samples_per_gpu`` images."""
    dataset = copy.deepcopy(dataset)
    if samples_per_gpu > 1:
        for part in innermost(dataset):
            if 'pipeline' in part:
                part['pipeline'] = replace_ImageToTensor(part['pipeline'])
    return dataset


def train_pipeline(dataset: Any) -> list[dict[str, Any]]:
    """The pipeline of a training data set's config: its own, else that of the first data set it wraps.

    Raises:
        KeyError: none has one.
    """
    first = next(innermost(dataset))
    if 'pipeline' not in first:
        raise KeyError('data.train has no pipeline')
    return first['pipeline']
