"""What builds data sets and loaders; the registries of both kinds of config are importable from here as well."""

import copy
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.parallel import collate
from mmcv.runner import get_dist_info
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from mmdet.datasets import dataset_wrappers as wrappers
from mmdet.datasets import samplers
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.memory.pinned_batches import collate_pinnable
from mmdet.datasets.mixing.label_spaces import class_names, into_label_space
from mmdet.datasets.registry import DATASETS, PIPELINES
from mmdet.utils.configs.config_error import building
from mmdet.utils.registry import build_from_cfg
from mmdet.utils.running.allocator import keep_freed_memory

_LOGGER = logging.getLogger('mmdet')

# What may differ between the parts of a data set whose ``ann_file`` is a list.
_PART_KEYS = ('ann_file', 'img_prefix', 'seg_prefix', 'proposal_file', 'name')


def _concat_dataset(cfg: dict, default_args: dict | None = None) -> Dataset:
    """One data set for each entry of the list ``cfg['ann_file']``, joined.

    ``img_prefix``, ``seg_prefix``, ``proposal_file`` and ``name`` may be lists of the same length, or one value for
    all.

    Raises:
        ValueError: lists of different lengths.
    """
    count = len(cfg['ann_file'])
    lists = {key: cfg[key] for key in _PART_KEYS if isinstance(cfg.get(key), list | tuple)}
    for key, values in lists.items():
        if len(values) != count:
            raise ValueError(
                f'{key} has {len(values)} entries but ann_file has {count}; give one for each, or one text'
            )
    shared = {key: value for key, value in cfg.items() if key not in lists and key != 'separate_eval'}
    parts = []
    for i in range(count):
        part = copy.deepcopy(shared)
        part.update({key: values[i] for key, values in lists.items()})
        parts.append(build_dataset(part, default_args))
    return wrappers.ConcatDataset(parts, cfg.get('separate_eval', True))


def build_dataset(cfg: dict | Sequence[dict], default_args: dict | None = None) -> DetectionDataset:
    """Build a data set, with its wrappers, from a config.

    Args:
        cfg: config of a data set or of a wrapper (``ConcatDataset``, ``RepeatDataset``, ``ClassBalancedDataset``,
            ``MultiImageMixDataset``), a list of them to be joined, or one whose ``ann_file`` is a list. It is not
            changed.
        default_args: arguments for the innermost data sets that their configs do not give.

    Returns:
        The data set.
    """
    with building(cfg):
        return _build_dataset(cfg, default_args)


def _build_dataset(cfg: dict | Sequence[dict], default_args: dict | None) -> Dataset:
    if isinstance(cfg, list | tuple):
        return wrappers.ConcatDataset([build_dataset(part, default_args) for part in cfg])
    if not isinstance(cfg, dict):
        return build_from_cfg(cfg, DATASETS)  # which says what is wrong
    cfg = dict(cfg)
    # without the inner data sets it is left to the last line to say so
    if cfg.get('type') == 'ConcatDataset' and 'datasets' in cfg:
        parts = cfg['datasets']
        if cfg.get('classes') is not None:
            parts = into_label_space(parts, class_names(cfg['classes']), cfg.get('rename') or {})
        cfg['datasets'] = [build_dataset(part, default_args) for part in parts]
        return build_from_cfg(cfg, DATASETS)
    if cfg.get('type') in wrappers.WRAPPERS_OF_ONE and 'dataset' in cfg:
        cfg['dataset'] = build_dataset(cfg['dataset'], default_args)
        return build_from_cfg(cfg, DATASETS)
    if isinstance(cfg.get('ann_file'), list | tuple):
        return _concat_dataset(cfg, default_args)
    return build_from_cfg(cfg, DATASETS, default_args)


def build_dataloader(
    dataset: Dataset | DetectionDataset,
    samples_per_gpu: int,
    workers_per_gpu: int,
    num_gpus: int = 1,
    dist: bool = True,
    shuffle: bool = True,
    seed: int | None = None,
    runner_type: str = 'EpochBasedRunner',
    persistent_workers: bool = False,
    class_aware_sampler: dict | None = None,
    source_ratio: Sequence[float] | None = None,
    repeat_factors: Sequence[float] | None = None,
    **kwargs: Any,
) -> DataLoader:
    """Build the loader of a data set.

    Args:
        dataset: what to load; to be shuffled it needs the attribute ``flag`` (aspect groups).
        samples_per_gpu: images in one device's batch.
        workers_per_gpu: loading processes for each device; 0 loads in this process.
        num_gpus: devices of this process; counts only without ``dist``.
        dist: one process a device: this process loads its own part.
        shuffle: random order, with batches of one aspect group.
        seed: of the order (with ``dist``) and of the loading processes; None: random.
        runner_type: ``'IterBasedRunner'`` gives a stream without end, others epochs.
        persistent_workers: keep the loading processes from epoch to epoch.
        class_aware_sampler: None, or ``dict(num_sample_class=n)`` to sample classes evenly.
        source_ratio: parts of each joined data set in every batch; see ``SourceRatioBatchSampler``.
        repeat_factors: how often each joined data set comes in an epoch; see ``SourceRepeatBatchSampler``.
        **kwargs: further arguments of ``DataLoader``, such as ``pin_memory``. The loading processes have as many
            threads of OpenCV as this process has now, and keep freed memory for their next images.

    Returns:
        The loader; its batches hold DataContainers.

    Raises:
        ValueError: two ways to sample at once, or such a way without ``shuffle``.
    """
    rank, world_size = get_dist_info()
    devices = 1 if dist else num_gpus
    batch_size, num_workers = devices * samples_per_gpu, devices * workers_per_gpu
    by_source = _source_setting(source_ratio, repeat_factors, class_aware_sampler, shuffle)
    if by_source:
        endless = runner_type == 'IterBasedRunner'
        ranks = dict(world_size=world_size, rank=rank) if dist else dict(world_size=1, rank=0)
        batching = dict(
            batch_sampler=_source_batches(dataset, batch_size, by_source, seed=seed, endless=endless, **ranks)
        )
    elif runner_type == 'IterBasedRunner':
        batching = dict(batch_sampler=_endless_batches(dataset, batch_size, world_size, rank, seed, shuffle))
    else:
        sampler = _epoch_sampler(dataset, samples_per_gpu, world_size, rank, seed, dist, shuffle, class_aware_sampler)
        batching = dict(batch_size=batch_size, sampler=sampler)
    if seed is not None:
        kwargs.setdefault('worker_init_fn', partial(worker_init_fn, num_workers=num_workers, rank=rank, seed=seed))
    pin_memory = kwargs.pop('pin_memory', False)
    init_worker = partial(_init_worker, opencv_threads=cv2.getNumThreads(), init=kwargs.pop('worker_init_fn', None))
    return DataLoader(
        dataset,
        num_workers=num_workers,
        collate_fn=partial(collate_pinnable if pin_memory else collate, samples_per_gpu=samples_per_gpu),
        pin_memory=pin_memory,
        persistent_workers=persistent_workers and num_workers > 0,
        worker_init_fn=init_worker,
        **batching,
        **kwargs,
    )


def _source_setting(
    source_ratio: Sequence[float] | None,
    repeat_factors: Sequence[float] | None,
    class_aware: dict | None,
    shuffle: bool,
) -> dict[str, Sequence[float]]:
    """The setting of a mixture's sampler, as its keyword argument; empty where there is none."""
    ways = dict(source_ratio=source_ratio, repeat_factors=repeat_factors, class_aware_sampler=class_aware)
    given = {name: value for name, value in ways.items() if value is not None}
    if len(given) > 1:
        raise ValueError(f'{" and ".join(given)} are ways to sample that exclude each other; keep one')
    by_source = {name: value for name, value in given.items() if name != 'class_aware_sampler'}
    if by_source and not shuffle:
        raise ValueError(f'{next(iter(by_source))} draws images at random; it needs shuffle=True')
    return by_source


def _source_batches(dataset: Dataset, batch_size: int, setting: dict[str, Sequence[float]], **kwargs: Any) -> Sampler:
    kind = samplers.SourceRatioBatchSampler if 'source_ratio' in setting else samplers.SourceRepeatBatchSampler
    batches = kind(dataset, batch_size, **setting, **kwargs)
    _LOGGER.info(batches.describe())
    return batches


def _endless_batches(
    dataset: Dataset, batch_size: int, world_size: int, rank: int, seed: int | None, shuffle: bool
) -> Sampler:
    if shuffle:
        return samplers.InfiniteGroupBatchSampler(dataset, batch_size, world_size, rank, seed=seed)
    return samplers.InfiniteBatchSampler(dataset, batch_size, world_size, rank, seed=seed, shuffle=False)


def _epoch_sampler(
    dataset: Dataset,
    samples_per_gpu: int,
    world_size: int,
    rank: int,
    seed: int | None,
    dist: bool,
    shuffle: bool,
    class_aware: dict | None,
) -> Sampler | None:
    """The order of one epoch; None for the plain order of a single process."""
    if class_aware is not None:
        num_sample_class = class_aware.get('num_sample_class', 1)
        return samplers.ClassAwareSampler(
            dataset, samples_per_gpu, world_size, rank, seed=seed, num_sample_class=num_sample_class
        )
    if dist and shuffle:
        return samplers.DistributedGroupSampler(dataset, samples_per_gpu, world_size, rank, seed=seed)
    if dist:
        return samplers.DistributedSampler(dataset, world_size, rank, shuffle=False, seed=seed)
    return samplers.GroupSampler(dataset, samples_per_gpu) if shuffle else None


def _init_worker(worker_id: int, opencv_threads: int, init: Callable[[int], None] | None) -> None:
    """What a loading process does first; a process that was spawned knows no settings of its parent."""
    cv2.setNumThreads(opencv_threads)
    keep_freed_memory()
    if init is not None:
        init(worker_id)


def worker_init_fn(worker_id: int, num_workers: int, rank: int, seed: int) -> None:
    """Seed the random generators of one loading process: ``seed + num_workers * rank + worker_id``.

    Inside a loading process the seed that the loader drew for this pass over the data is added, so that the random
    steps of a pipeline do not repeat with every epoch. The draw comes from the main process's generator, hence a
    resumed run, which restores that one, goes on with the same numbers.
    """
    worker_seed = num_workers * rank + worker_id + seed
    info = get_worker_info()
    if info is not None:
        worker_seed += info.seed - info.id
    np.random.seed(worker_seed % 2**32)  # numpy takes no larger one
    random.seed(worker_seed)
    torch.manual_seed(worker_seed % 2**63)


def __getattr__(name: str) -> Any:
    from mmdet.datasets import samplers  # they stand on pipelines, which register themselves here

    if name in samplers.__all__:
        return getattr(samplers, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = ['DATASETS', 'PIPELINES', 'build_dataloader', 'build_dataset', 'worker_init_fn']
