"""One training run for all tests of this folder, whatever number of processes pytest uses."""

import fcntl
import os
from pathlib import Path

import pytest
from process import python
from tiny import draw_data, write_config


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory) -> Path:
    """A folder with data, ``tiny.py`` and ``work``: two epochs, by ``tools/train.py``, with ``train.txt`` as output."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'tiny_run'
    folder.mkdir(exist_ok=True)
    with open(folder / '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / 'train.txt').exists():
            draw_data(folder)
            config = write_config(folder)
            done = python('tools/train.py', config, '--work-dir', folder / 'work', '--seed', 3)
            (folder / 'train.txt').write_text(done.stdout + done.stderr)
    return folder


@pytest.fixture(scope='session')
def tiny_data(tmp_path_factory) -> Path:
    """A folder with data only."""
    folder = tmp_path_factory.mktemp('tiny')
    draw_data(folder)
    return folder
