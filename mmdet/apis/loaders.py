"""Loader settings from configs, for training and testing."""

import copy
from typing import Any

from mmdet.datasets.utils import replace_ImageToTensor


def loader_args(overrides: dict[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """Arguments of ``build_dataloader``: the defaults, with those of ``cfg.data.<split>_dataloader`` on top."""
    return {**defaults, **(overrides or {})}


def batch_test_pipeline(dataset: Any, samples_per_gpu: int) -> Any:
    """A data set's config (or a list of them) whose test pipeline can make batches of ``samples_per_gpu`` images."""
    dataset = copy.deepcopy(dataset)
    if samples_per_gpu > 1:
        for part in dataset if isinstance(dataset, (list, tuple)) else [dataset]:
            if 'pipeline' in part:
                part['pipeline'] = replace_ImageToTensor(part['pipeline'])
    return dataset


def train_pipeline(dataset: Any) -> list[dict[str, Any]]:
    """The pipeline of a training data set's config: its own, else that of the first data set it wraps.

    Raises:
        KeyError: none has one.
    """
    if isinstance(dataset, (list, tuple)):
        dataset = dataset[0]
    if 'pipeline' in dataset and 'dataset' not in dataset:
        return dataset['pipeline']
    for key in ('dataset', 'datasets'):
        if key in dataset:
            return train_pipeline(dataset[key])
    raise KeyError('data.train has no pipeline')
