"""Starts that fail leave the work dir of the good run as it was."""

import shutil

import pytest
from process import python

from mmdet.utils.running.run_lock import run_lock


@pytest.fixture
def work(tiny_run, tmp_path):
    """A copy of the good run's work dir."""
    return shutil.copytree(tiny_run / 'work', tmp_path / 'work', symlinks=True)


def test_failed_start_keeps_the_config_of_the_good_run(tiny_run, work):
    kept = (work / 'tiny.py').read_text()
    failed = python(
        *('tools/train.py', tiny_run / 'tiny.py', '--work-dir', work, '--auto-resume'),
        *('--cfg-options', 'data.train.ann_file=missing.json', 'runner.max_epochs=7'),
        check=False,
    )
    assert failed.returncode != 0 and 'missing.json' in failed.stderr
    assert (work / 'tiny.py').read_text() == kept


def test_training_in_the_folder_of_a_living_run_is_refused(tiny_run, work):
    before = sorted(path.name for path in work.iterdir())
    with run_lock(work):
        refused = python('tools/train.py', tiny_run / 'tiny.py', '--work-dir', work, check=False)
    assert refused.returncode == 1 and 'is in use by process' in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in work.iterdir()) == before
