"""A training loader whose samples depend on neither processes nor interruptions, and that can go on in mid-pass.

Each pass over the data draws one number from the process's generator. The order of the samples and the random steps of
each sample's pipeline follow from it: so they are the same with any number of loading processes, kept or made anew,
and after a run was resumed.
"""

import contextlib
import hashlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from mmdet.utils.running.rng import get_rng_state, preserved_rng, set_rng_state


class SampleKey(NamedTuple):
    """A sample of a data set, and the seed of its random steps."""

    index: int  # type: ignore[assignment]
    seed: int


def sample_seed(pass_seed: int, position: int, index: int) -> int:
    """Seed of one sample, in [0, 2**63).

    Args:
        pass_seed: of the pass over the data.
        position: of the sample in this process's pass; an index may come several times.
        index: of the sample in the data set.
    """
    text = f'{pass_seed} {position} {index}'.encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), 'big') >> 1


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's (CPU) generators begin at ``seed`` inside, and are afterwards as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed_generators(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # numpy takes no larger one
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPU's, too


class SeededSamples(Dataset[Any]):
    """A data set that is asked for :class:`SampleKey`."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> Any:
        with seeded(key.seed):
            return self.dataset[key.index]


class KeyedBatches(Sampler[Any]):
    """The batches of a batch sampler as lists of :class:`SampleKey`.

    The batch sampler draws from generators of its own, which begin at the pass's seed: what the model or loading
    processes draw meanwhile does not change the order.
    """

    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.pass_seed, self.skipped = 0, 0

    def __len__(self) -> int:
        return len(self.batches)

    def begin(self, pass_seed: int, skipped: int) -> None:
        """Set the seed of the next pass, and the number of its batches that were given before."""
        self.pass_seed, self.skipped = pass_seed, skipped

    def __iter__(self) -> Iterator[list[SampleKey]]:
        # nothing is drawn before the first batch is asked for: loaders with workers make two iterators and use one
        pass_seed, skipped, position = self.pass_seed, self.skipped, 0
        batches: Iterator[list[int]] | None = None
        state: dict[str, Any] = {}
        while True:
            with preserved_rng():
                if batches is None:
                    _seed_generators(pass_seed)
                    batches = iter(self.batches)
                    for _ in range(skipped):
                        position += len(next(batches, ()))
                else:
                    set_rng_state(state)
                batch = next(batches, None)
                state = get_rng_state()
            if batch is None:
                return
            yield [SampleKey(i, sample_seed(pass_seed, position + n, i)) for n, i in enumerate(batch)]
            position += len(batch)


class ResumableLoader:
    """Stands in for a ``DataLoader`` (each of whose attributes it has) and counts what it gives.

    ``state()`` in the middle of a pass holds the seed of the pass and the number of batches given; after
    ``resume(state)`` the next pass gives what was left of that one, without loading what was given before.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader
        self._given = 0
        self._pass_seed: int | None = None
        self._resumed: dict[str, Any] | None = None
        self._seeded_loader: DataLoader[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == 'loader':  # looked up while being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def state(self) -> dict[str, Any]:
        """Where the present pass is."""
        return {'given': self._given, 'pass_seed': self._pass_seed}

    def resume(self, state: dict[str, Any]) -> None:
        """Let the next pass go on where ``state`` was taken; one of an earlier version lets it begin anew."""
        self._resumed = state if state.get('pass_seed') is not None else None

    def renew_workers(self) -> None:
        """Let loading processes that live on from pass to pass see what has changed in the data set."""
        self._seeded_loader = None

    def __iter__(self) -> Iterator[Any]:
        state, self._resumed = self._resumed, None
        if state is None:
            self._pass_seed, self._given = int(torch.randint(2**62, ())), 0
        else:
            self._pass_seed, self._given = state['pass_seed'], state['given']
        if self._seeded_loader is None:
            self._seeded_loader = self._make_seeded_loader()
        batches: Any = self._seeded_loader.batch_sampler
        batches.begin(self._pass_seed, self._given)
        for batch in self._seeded_loader:
            self._given += 1
            yield batch

    def _make_seeded_loader(self) -> DataLoader[Any]:
        old = self.loader
        return DataLoader(
            SeededSamples(old.dataset),
            batch_sampler=KeyedBatches(old.batch_sampler),
            num_workers=old.num_workers,
            collate_fn=old.collate_fn,
            pin_memory=old.pin_memory,
            timeout=old.timeout,
            worker_init_fn=old.worker_init_fn,
            multiprocessing_context=old.multiprocessing_context,
            # an iterator draws a number for its workers, which must not come from the process's generator: workers that
            # live on need none
            generator=torch.Generator().manual_seed(0),
            prefetch_factor=old.prefetch_factor,
            persistent_workers=old.persistent_workers,
        )
