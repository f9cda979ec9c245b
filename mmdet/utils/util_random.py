"""Random number generators from what callers have."""

import numpy as np


def ensure_rng(rng: int | np.random.RandomState | None = None) -> np.random.RandomState:
    """A numpy generator: numpy's global one for None, a new one for a seed, the same one for a generator."""
    if rng is None:
        return np.random.mtrand._rand
    return np.random.RandomState(rng) if isinstance(rng, (int, np.integer)) else rng
