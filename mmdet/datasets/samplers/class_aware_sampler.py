"""An order in which every class comes equally often."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmcv.runner import get_dist_info
from torch.utils.data import Sampler

from mmdet.core.utils.dist_utils import sync_random_seed


class ClassAwareSampler(Sampler):
    """Goes through the classes and takes images that have them, so that a rare class is seen as often as any other.

    The class-aware sampling of `Relay Backpropagation <https://arxiv.org/abs/1512.05830>`_.

    Args:
        dataset: has the method ``get_cat2imgs`` (class -> images).
        samples_per_gpu: images in a batch.
        num_replicas: number of processes; None: as many as the run has.
        rank: number of this process; None: this process's.
        seed: of the order; None: one that the processes agree on.
        num_sample_class: images taken of a class each time its turn comes.

    Raises:
        ValueError: ``num_sample_class`` is not a positive whole number, or no class has an image.
    """

    def __init__(
        self,
        dataset: Any,
        samples_per_gpu: int = 1,
        num_replicas: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
        num_sample_class: int = 1,
    ):
        if not isinstance(num_sample_class, int) or num_sample_class < 1:
            raise ValueError(f'num_sample_class: expected a whole number >= 1, got {num_sample_class!r}')
        own_rank, world_size = get_dist_info()
        self.dataset = dataset
        self.samples_per_gpu = samples_per_gpu
        self.num_replicas = world_size if num_replicas is None else num_replicas
        self.rank = own_rank if rank is None else rank
        self.seed = sync_random_seed(seed)
        self.epoch = 0
        self.num_sample_class = num_sample_class
        self.cat_dict: dict[int, list[int]] = dataset.get_cat2imgs()
        self.valid_cat_inds = [cat for cat, images in self.cat_dict.items() if images]
        if not self.valid_cat_inds:
            raise ValueError(f'{type(dataset).__name__}: no class has an image, so classes cannot be sampled evenly')
        batches = math.ceil(len(dataset) / self.num_replicas / samples_per_gpu)
        self.num_samples = batches * samples_per_gpu
        self.total_size = self.num_samples * self.num_replicas

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.epoch + self.seed)
        classes = RandomCycleIter(self.valid_cat_inds, generator)
        images = {cat: RandomCycleIter(self.cat_dict[cat], generator) for cat in self.valid_cat_inds}
        order: list[int] = []
        while len(order) < self.total_size:
            cat = next(classes)
            order += [next(images[cat]) for _ in range(self.num_sample_class)]
        # all processes draw the same order, and each takes its own stretch of it: nothing need be sent
        start = self.num_samples * self.rank
        return iter(order[: self.total_size][start : start + self.num_samples])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch


class RandomCycleIter:
    """Goes round a list without end, in another random order each time.

    Args:
        data: what is given, one by one; not empty.
        generator: source of the orders; None: torch's own.
    """

    def __init__(self, data: Sequence[int], generator: torch.Generator | None = None):
        self.data = data
        self.length = len(data)
        self.generator = generator
        self._shuffle()

    def _shuffle(self) -> None:
        self.index = torch.randperm(self.length, generator=self.generator).tolist()
        self.i = 0

    def __iter__(self) -> 'RandomCycleIter':
        return self

    def __len__(self) -> int:
        return self.length

    def __next__(self) -> int:
        if self.i == self.length:
            self._shuffle()
        self.i += 1
        return self.data[self.index[self.i - 1]]
