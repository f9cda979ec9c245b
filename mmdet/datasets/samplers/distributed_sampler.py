"""Each process's part of a data set, one image at a time."""

import math
from collections.abc import Iterator

import torch
from torch.utils.data import Dataset
from torch.utils.data import DistributedSampler as _DistributedSampler

from mmdet.core.utils.dist_utils import sync_random_seed


class DistributedSampler(_DistributedSampler):
    """Every ``num_replicas``-th image, from the ``rank``-th on.

    The parts are of equal length: the first images are repeated at the end where the data set cannot be divided.

    Args:
        dataset: what is sampled.
        num_replicas: number of processes; None: as many as the run has.
        rank: number of this process; None: this process's.
        shuffle: another order each epoch, the same in all processes.
        seed: of that order; None: one that the processes agree on.
    """

    def __init__(
        self,
        dataset: Dataset,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int | None = 0,
    ):
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=shuffle)
        # orders that differ between the processes would leave images out and take others twice
        self.seed = sync_random_seed(seed)

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)  # type: ignore[arg-type] # torch's type of data sets has no length
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.epoch + self.seed)
            order = torch.randperm(size, generator=generator).tolist()
        else:
            order = list(range(size))
        order = (order * math.ceil(self.total_size / max(len(order), 1)))[: self.total_size]
        return iter(order[self.rank : self.total_size : self.num_replicas])
