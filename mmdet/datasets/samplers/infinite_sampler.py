"""Batches without end, for runs that count iterations."""

import itertools
from collections.abc import Iterator

import torch
from mmcv.runner import get_dist_info
from torch.utils.data import Sampler

from mmdet.core.utils.dist_utils import sync_random_seed
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.samplers.group_sampler import group_flags


class InfiniteBatchSampler(Sampler):
    """Endless batches: all processes make the same stream of images and take every ``world_size``-th.

    Args:
        dataset: what is sampled.
        batch_size: images in a batch.
        world_size: number of processes; None: as many as the run has.
        rank: number of this process; None: this process's.
        seed: of the order; None: one that the processes agree on.
        shuffle: a new random order for every pass through the data set, else the plain order again and again.
    """

    def __init__(
        self,
        dataset: DetectionDataset,
        batch_size: int = 1,
        world_size: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
        shuffle: bool = True,
    ):
        own_rank, own_world_size = get_dist_info()
        self.dataset = dataset
        self.batch_size = batch_size
        self.world_size = own_world_size if world_size is None else world_size
        self.rank = own_rank if rank is None else rank
        self.seed = sync_random_seed(seed)
        self.shuffle = shuffle
        self.size = len(dataset)
        if self.size == 0:
            raise ValueError(f'{type(dataset).__name__} is empty: there is nothing to sample without end')
        self.indices = self._indices_of_rank()

    def _infinite_indices(self) -> Iterator[int]:
        """The stream that all processes share."""
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            if self.shuffle:
                yield from torch.randperm(self.size, generator=generator).tolist()
            else:
                yield from range(self.size)

    def _indices_of_rank(self) -> Iterator[int]:
        """This process's part of the stream."""
        # every world_size-th image: all processes together go through the data set before any image returns
        yield from itertools.islice(self._infinite_indices(), self.rank, None, self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Batches, going on where the last iteration stopped."""
        while True:
            yield list(itertools.islice(self.indices, self.batch_size))

    def __len__(self) -> int:
        """Images in the data set; the stream itself has no length."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: a stream without end has no epochs. Loaders call this on every sampler."""


class InfiniteGroupBatchSampler(InfiniteBatchSampler):
    """As :class:`InfiniteBatchSampler`, with every batch of one aspect group.

    Images wait until their group has enough of them for a batch.

    Args:
        dataset: has the attribute ``flag``.
        batch_size: images in a batch.
        world_size: number of processes; None: as many as the run has.
        rank: number of this process; None: this process's.
        seed: of the order; None: one that the processes agree on.
        shuffle: a new random order for every pass through the data set.
    """

    def __init__(
        self,
        dataset: DetectionDataset,
        batch_size: int = 1,
        world_size: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
        shuffle: bool = True,
    ):
        super().__init__(dataset, batch_size, world_size, rank, seed, shuffle)
        self.flag = group_flags(dataset)
        self.buffer_per_group: dict[int, list[int]] = {int(group): [] for group in set(self.flag.tolist())}

    def __iter__(self) -> Iterator[list[int]]:
        for index in self.indices:
            waiting = self.buffer_per_group[int(self.flag[index])]
            waiting.append(index)
            if len(waiting) == self.batch_size:
                batch = waiting.copy()
                waiting.clear()
                yield batch
