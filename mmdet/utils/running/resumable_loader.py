"""A training loader that knows its place in the data and can go on from there."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Sampler

from mmdet.utils.running.rng import get_rng_state, preserved_rng, set_rng_state


class _Started(Sampler):
    """A batch sampler's iterator that has been begun already, as a batch sampler of one pass."""

    def __init__(self, batches: Iterator[list[int]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches


class ResumableLoader:
    """Stands in for a ``DataLoader`` (each of whose attributes it has) and counts what it gives.

    ``state()`` in the middle of a pass holds the random states at its begin and the number of batches given; after
    ``resume(state)`` the next pass draws the same order of samples and begins behind the batches already given,
    without loading them. Exact with ``workers_per_gpu=0``; with workers, whose own random states are not known, the
    order of samples is the same and random augmentation of the rest of that pass may differ.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self._given = 0
        self._begin: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == 'loader':  # looked up while being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def state(self) -> dict[str, Any]:
        """Where the present pass is."""
        return {'given': self._given, 'begin': self._begin}

    def resume(self, state: dict[str, Any]) -> None:
        """Let the next pass go on where ``state`` was taken."""
        self._resumed = state if state.get('begin') is not None else None

    def __iter__(self) -> Iterator[Any]:
        state, self._resumed = self._resumed, None
        if state is None:
            self._begin, self._given = get_rng_state(), 0
            batches = iter(self.loader)
        else:
            self._begin, self._given = state['begin'], state['given']
            batches = self._rest_of_pass()
        for batch in batches:
            self._given += 1
            yield batch

    def _rest_of_pass(self) -> Iterator[Any]:
        """Batches of the pass behind those already given; the process's own random states are left alone."""
        old = self.loader
        with preserved_rng():
            set_rng_state(self._begin)
            # an iterator draws a seed for its workers before its sampler draws an order
            iter(DataLoader(old.dataset, batch_sampler=old.batch_sampler, generator=old.generator))
            indices = iter(old.batch_sampler)
            for _ in range(self._given):
                next(indices, None)
            rest = DataLoader(
                old.dataset,
                batch_sampler=_Started(indices),
                num_workers=old.num_workers,
                collate_fn=old.collate_fn,
                pin_memory=old.pin_memory,
                timeout=old.timeout,
                worker_init_fn=old.worker_init_fn,
                multiprocessing_context=old.multiprocessing_context,
                generator=old.generator,
                prefetch_factor=old.prefetch_factor,
            )
            return iter(rest)
