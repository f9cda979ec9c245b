"""The golden files of tests/data/golden: ``<stem>.json`` with the cases, ``<stem>.npz`` with their arrays."""

import functools
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / 'data' / 'golden'


@functools.cache
def cases_of(stem):
    """The cases of a file, in order."""
    return json.loads((FOLDER / f'{stem}.json').read_text())['cases']


@functools.cache
def arrays_of(stem):
    """All arrays of a file by name."""
    with np.load(FOLDER / f'{stem}.npz', allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def outputs_of(stem, case_name):
    """The wanted arrays of one case, by their path in the result."""
    prefix = f'{case_name}::'
    return {name[len(prefix) :]: a for name, a in arrays_of(stem).items() if name.startswith(prefix)}
