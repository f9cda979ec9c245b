"""Batches of images of one aspect group, so that little of a batch is padding."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmcv.runner import get_dist_info
from torch.utils.data import Dataset, Sampler

from mmdet.core.utils.dist_utils import sync_random_seed


def group_flags(dataset: Any) -> np.ndarray:
    """The aspect group (n,) of each image of a data set: 1 wider than high, else 0.

    Raises:
        AttributeError: the data set has none, as one in test mode.
    """
    flags = getattr(dataset, 'flag', None)
    if flags is None:
        raise AttributeError(
            f'{type(dataset).__name__} has no attribute "flag" (aspect group of each image), which sampling by groups '
            'needs; data sets in test mode have none: load them with shuffle=False'
        )
    return np.asarray(flags, dtype=np.int64)


class GroupSampler(Sampler):
    """Random order in which every run of ``samples_per_gpu`` images is of one group; draws from numpy's generator.

    A group that cannot be divided is filled up with images drawn from it again.

    Args:
        dataset: has the attribute ``flag``.
        samples_per_gpu: images in a batch.
    """

    def __init__(self, dataset: Dataset, samples_per_gpu: int = 1):
        self.dataset = dataset
        self.samples_per_gpu = samples_per_gpu
        self.flag = group_flags(dataset)
        self.group_sizes = np.bincount(self.flag)
        self.num_samples = sum(math.ceil(size / samples_per_gpu) * samples_per_gpu for size in self.group_sizes)

    def __iter__(self) -> Iterator[int]:
        groups = [np.flatnonzero(self.flag == i) for i in range(len(self.group_sizes))]
        runs = [self._shuffled_and_filled(group) for group in groups if len(group)]
        batches = np.concatenate(runs or [np.zeros(0, dtype=np.int64)]).reshape(-1, self.samples_per_gpu)
        return iter(batches[np.random.permutation(len(batches))].ravel().tolist())

    def _shuffled_and_filled(self, group: np.ndarray) -> np.ndarray:
        np.random.shuffle(group)
        return np.concatenate([group, np.random.choice(group, -len(group) % self.samples_per_gpu)])

    def __len__(self) -> int:
        return self.num_samples


class DistributedGroupSampler(Sampler):
    """Each process's part of an order in which every run of ``samples_per_gpu`` images is of one group.

    All processes make the same order, from ``seed`` and the epoch, and take a stretch each. A group that cannot be
    divided between batches and processes is repeated from its start.

    Args:
        dataset: has the attribute ``flag``.
        samples_per_gpu: images in a batch.
        num_replicas: number of processes; None: as many as the run has.
        rank: number of this process; None: this process's.
        seed: of the order; None: one that the processes agree on.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples_per_gpu: int = 1,
        num_replicas: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
    ):
        own_rank, world_size = get_dist_info()
        self.dataset = dataset
        self.samples_per_gpu = samples_per_gpu
        self.num_replicas = world_size if num_replicas is None else num_replicas
        self.rank = own_rank if rank is None else rank
        self.seed = sync_random_seed(seed)
        self.epoch = 0
        self.flag = group_flags(dataset)
        self.group_sizes = np.bincount(self.flag)
        step = self.samples_per_gpu * self.num_replicas
        self.total_size = sum(math.ceil(size / step) * step for size in self.group_sizes)
        self.num_samples = self.total_size // self.num_replicas

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.epoch + self.seed)
        step = self.samples_per_gpu * self.num_replicas
        runs = []
        for i, size in enumerate(self.group_sizes):
            order = np.flatnonzero(self.flag == i)[torch.randperm(int(size), generator=generator).numpy()]
            runs.append(np.resize(order, math.ceil(size / step) * step))  # repeats from the start
        batches = np.concatenate(runs).reshape(-1, self.samples_per_gpu)
        batches = batches[torch.randperm(len(batches), generator=generator).numpy()]
        order = batches.ravel().tolist()
        return iter(order[self.num_samples * self.rank : self.num_samples * (self.rank + 1)])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch
