"""The random states of a process as tensors and plain values, so that checkpoints can hold them."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def get_rng_state() -> dict[str, Any]:
    """States of python's, numpy's and torch's generators, the present GPU's included."""
    version, words, gauss = random.getstate()
    algorithm, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        'python': [version, list(words), gauss],
        'numpy': [algorithm, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, cached],
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Bring the generators back to what :func:`get_rng_state` gave."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    algorithm, keys, position, has_gauss, cached = state['numpy']
    np.random.set_state((algorithm, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextlib.contextmanager
def preserved_rng() -> Iterator[None]:
    """Leave the random states as they were: what runs inside (an evaluation) does not change the training."""
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
