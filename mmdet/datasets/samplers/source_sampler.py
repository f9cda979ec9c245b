"""Batches of a mixture of data sets: a fixed composition of each batch, or a factor for each source.

Both kinds give one epoch after the other from the seed and the epoch alone, so that an interrupted run finds its place
again, and so that all processes make the same batches and take every ``world_size``-th.
"""

import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
from mmcv.runner import get_dist_info
from torch.utils.data import Dataset, Sampler

from mmdet.core.utils.dist_utils import sync_random_seed
from mmdet.datasets.mixing.sources import Sources, find_sources
from mmdet.datasets.samplers.group_sampler import group_flags

# A source leaves the batch's aspect group when it owes another one more images than are in so many batches.
PATIENCE = 4


class SourceBatchSampler(Sampler):
    """What both kinds have in common: processes, epochs, and batches without end.

    Args:
        dataset: a ``ConcatDataset``, or wrappers around one, with the attribute ``flag``.
        batch_size: images in a batch.
        world_size: number of processes; None: as many as the run has.
        rank: number of this process; None: this process's.
        seed: of the order; None: one that the processes agree on.
        endless: one epoch after the other without end, for runs that count iterations.

    Attributes:
        sampler: itself; hooks look there for ``set_epoch``.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        world_size: int | None = None,
        rank: int | None = None,
        seed: int | None = None,
        endless: bool = False,
    ) -> None:
        own_rank, own_world_size = get_dist_info()
        self.batch_size = batch_size
        self.world_size = own_world_size if world_size is None else world_size
        self.rank = own_rank if rank is None else rank
        self.seed = sync_random_seed(seed)
        self.endless = endless
        self.epoch = 0
        self.sources = find_sources(dataset)
        self.flag = group_flags(dataset)
        self.members = [np.flatnonzero(self.sources.owner == i) for i in range(len(self.sources.names))]

    @property
    def sampler(self) -> 'SourceBatchSampler':
        """Itself."""
        return self

    @property
    def num_batches(self) -> int:
        """Batches of all processes in an epoch, a multiple of their number."""
        raise NotImplementedError

    def images_per_epoch(self) -> list[int]:
        """How many images of each source all processes together see in an epoch, on average."""
        raise NotImplementedError

    def _batches(self, rng: np.random.Generator) -> Iterator[Sequence[int] | np.ndarray]:
        """The batches of all processes in an epoch."""
        raise NotImplementedError

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives, or begins with."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of this process in an epoch."""
        return self.num_batches // self.world_size

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self.epoch
        while True:
            # one generator for both numbers: seed + epoch would give the epochs of neighbouring seeds again
            rng = np.random.default_rng([self.seed, epoch])
            for number, batch in enumerate(self._batches(rng)):
                if number % self.world_size == self.rank:
                    yield [int(i) for i in batch]
            if not self.endless:
                return
            epoch += 1

    def describe(self) -> str:
        """One line for the log: length of an epoch, and what each source has of it."""
        counts = self.images_per_epoch()
        parts = [
            f'{name} {count} ({count / max(sum(counts), 1):.0%}, each image {count / max(len(own), 1):.2f} times)'
            for name, count, own in zip(self.sources.names, counts, self.members)
        ]
        return (
            f'{self.rule()}: an epoch has {len(self)} batches of {self.batch_size} images in each of {self.world_size} '
            f'process(es); images: {", ".join(parts)}'
        )

    def rule(self) -> str:
        """The setting that made the batches, in words."""
        raise NotImplementedError


class SourceRatioBatchSampler(SourceBatchSampler):
    """Batches of a fixed composition, ``source_ratio[i]`` parts of source i.

    Where the fractions make no whole numbers, the largest remainders get the images that are left, and what a source
    did not get counts in the next batch: each batch has the fraction rounded down or up, and over several batches the
    ratio holds. An epoch is as long as the source takes that is largest relative to its fraction: its images come once
    (but for some where it has several aspect groups), those of others more often. A batch is of one aspect group; a
    source leaves that group where it has no such image, or where its images of another group would wait for too long,
    as sources differ in their shapes. So in the long run all images of a source come equally often.

    Args:
        dataset, batch_size, world_size, rank, seed, endless: see :class:`SourceBatchSampler`.
        source_ratio: a number >= 0 for each source, not all 0; one with 0 is left out.

    Raises:
        ValueError: not one possible number for each source, or images are asked of an empty one.
    """

    def __init__(self, dataset: Dataset, batch_size: int, source_ratio: Sequence[float], **kwargs: Any) -> None:
        super().__init__(dataset, batch_size, **kwargs)
        self.ratio = check_numbers('source_ratio', source_ratio, self.sources)
        self.fractions = self.ratio / self.ratio.sum()
        # (S, groups) fraction of each aspect group in each source
        groups = int(self.flag.max(initial=0)) + 1
        counts = np.stack([np.bincount(self.flag[own], minlength=groups) for own in self.members])
        self.group_fractions = counts / np.maximum(counts.sum(1, keepdims=True), 1)

    @property
    def num_batches(self) -> int:
        used = self.fractions > 0
        sizes = np.asarray([len(own) for own in self.members])
        images = (sizes[used] / self.fractions[used]).max()
        # the least bit more than a whole number is a rounding error
        return self.world_size * math.ceil(images / (self.batch_size * self.world_size) - 1e-9)

    def images_per_epoch(self) -> list[int]:
        return compositions(self.fractions, self.batch_size, self.num_batches).sum(0).tolist()

    def rule(self) -> str:
        return f'source_ratio={self.ratio.tolist()}'

    def _batches(self, rng: np.random.Generator) -> Iterator[list[int]]:
        queues = {
            (source, group): _Queue(own[self.flag[own] == group], rng)
            for source, own in enumerate(self.members)
            for group in range(self.group_fractions.shape[1])
        }
        behind = np.zeros_like(self.group_fractions)  # images that each group of each source is owed
        patience = PATIENCE * self.batch_size
        for counts in compositions(self.fractions, self.batch_size, self.num_batches):
            # every group of a source is owed its part of the images that this batch takes of it
            behind += counts[:, None] * self.group_fractions
            # what the sources of this batch are owed most decides, nothing is drawn: all processes find the same group
            group = int((behind * (counts > 0)[:, None]).sum(0).argmax())
            batch = []
            for source in np.flatnonzero(counts).tolist():
                own = group_of_images(behind[source], self.group_fractions[source], group, patience)
                behind[source, own] -= counts[source]
                batch += [queues[source, own].take() for _ in range(counts[source])]
            yield batch


def group_of_images(behind: np.ndarray, fractions: np.ndarray, group: int, patience: int) -> int:
    """The aspect group that a source's images of a batch are of; all are of one, so that hardly a batch is mixed.

    Args:
        behind: (groups,) images that each group is owed.
        fractions: (groups,) of the source's images.
        group: the group of the batch.
        patience: the most that another group may be owed.
    """
    longest = int(np.where(fractions > 0, behind, -np.inf).argmax())
    return group if fractions[group] > 0 and behind[longest] <= patience else longest


class _Queue:
    """Images, each once in a random order, then in another one."""

    def __init__(self, images: np.ndarray, rng: np.random.Generator) -> None:
        self.images, self.rng = images, rng
        self.waiting: list[int] = []

    def take(self) -> int:
        if not self.waiting:
            # a new order each time round: with the old one the same images would meet in a batch again and again
            self.waiting = self.rng.permutation(self.images).tolist()
        return self.waiting.pop()


def compositions(fractions: np.ndarray, batch_size: int, num_batches: int) -> np.ndarray:
    """(num_batches, S) images of each source in each batch.

    Each has its fraction of ``batch_size`` rounded down or up. The images that rounding down leaves go to the sources
    with the largest remainders, a remainder being all that is owed from the batches before.

    Args:
        fractions: (S,) >= 0, of sum 1.
        batch_size: images in a batch.
        num_batches: how many batches.
    """
    expected = fractions * batch_size
    # 0.3 * 10 is a little below 3 in floating point
    whole = np.floor(expected + 1e-9).astype(np.int64)
    remainder = expected - whole
    remainder[np.abs(remainder) < 1e-9] = 0
    left = batch_size - int(whole.sum())
    out = np.tile(whole, (num_batches, 1))
    owed = np.zeros_like(expected)
    for row in out if left else ():
        owed += remainder
        # by what is owed, then by the remainder, then by number: the same in all processes
        # rounded: what is equal on paper differs in its last bits from machine to machine, and ties must not
        best = np.lexsort((-remainder, -np.where(remainder > 0, owed.round(9), -np.inf)))[:left]
        row[best] += 1
        owed[best] -= 1
    return out


class SourceRepeatBatchSampler(SourceBatchSampler):
    """Batches of one aspect group, of a mixture in which each source comes ``repeat_factors[i]`` times an epoch.

    The part of a factor behind the point is a fraction of the images, drawn anew each epoch: with 1.25 every image
    comes once and a quarter of them twice. A group that cannot be divided between batches and processes is repeated
    from its start.

    Args:
        dataset, batch_size, world_size, rank, seed, endless: see :class:`SourceBatchSampler`.
        repeat_factors: a number >= 0 for each source, not all 0.

    Raises:
        ValueError: not one possible number for each source, or images are asked of an empty one.
    """

    def __init__(self, dataset: Dataset, batch_size: int, repeat_factors: Sequence[float], **kwargs: Any) -> None:
        super().__init__(dataset, batch_size, **kwargs)
        self.factors = check_numbers('repeat_factors', repeat_factors, self.sources)
        if not sum(self.images_per_epoch()):
            raise ValueError(f'repeat_factors={self.factors.tolist()} leave no image')
        # the fractions are drawn in each group apart, so that every epoch has as many batches
        self.group_counts = [
            [
                _count_per_epoch(int((self.flag[own] == group).sum()), factor)
                for own, factor in zip(self.members, self.factors)
            ]
            for group in range(int(self.flag.max(initial=0)) + 1)
        ]

    @property
    def num_batches(self) -> int:
        step = self.batch_size * self.world_size
        return self.world_size * sum(math.ceil(sum(counts) / step) for counts in self.group_counts)

    def images_per_epoch(self) -> list[int]:
        groups = range(int(self.flag.max(initial=0)) + 1)
        return [
            sum(_count_per_epoch(int((self.flag[own] == group).sum()), factor) for group in groups)
            for own, factor in zip(self.members, self.factors)
        ]

    def rule(self) -> str:
        return f'repeat_factors={self.factors.tolist()}'

    def _batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        step = self.batch_size * self.world_size
        runs = []
        for group, counts in enumerate(self.group_counts):
            drawn = [_repeated(own[self.flag[own] == group], count, rng) for own, count in zip(self.members, counts)]
            order = rng.permutation(np.concatenate(drawn))
            # whole steps of all processes, so that none of them waits for another at the end
            runs.append(np.resize(order, math.ceil(len(order) / step) * step) if len(order) else order)
        batches = np.concatenate(runs).astype(np.int64).reshape(-1, self.batch_size)
        # mixed, as the groups stand one after the other: an epoch would end with nothing but upright images
        yield from batches[rng.permutation(len(batches))]


def _count_per_epoch(images: int, factor: float) -> int:
    """How many of so many images come in an epoch."""
    # not round(), which takes halves to even numbers: a single image at 0.5 would never come
    return math.floor(images * factor + 0.5)


def _repeated(images: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` images: all as often as that goes, and a random part once more."""
    times, rest = divmod(count, len(images)) if len(images) else (0, 0)
    return np.concatenate([np.tile(images, times), rng.permutation(images)[:rest]])


def check_numbers(name: str, numbers: Sequence[float], sources: Sources) -> np.ndarray:
    """(S,) float64 of a setting with one number for each source.

    Raises:
        ValueError: see :class:`SourceRatioBatchSampler`.
    """
    is_list = isinstance(numbers, Sequence) and not isinstance(numbers, str)
    possible = is_list and all(
        isinstance(n, Real) and not isinstance(n, bool) and math.isfinite(n) and n >= 0 for n in numbers
    )
    if not possible or len(numbers) != len(sources.names) or not sum(numbers):
        raise ValueError(
            f'{name}: expected a finite number >= 0, not all 0, for each of the {len(sources.names)} joined data sets '
            f'({", ".join(sources.names)}), got {numbers!r}'
        )
    sizes = np.bincount(sources.owner, minlength=len(sources.names))
    for number, size, source in zip(numbers, sizes, sources.names):
        if number > 0 and not size:
            raise ValueError(f'{name}: data set {source} has no images, but its number is {number}')
    return np.asarray(numbers, dtype=np.float64)
