"""Two runs in one work folder, as processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmdet.utils.running.run_lock import RunLockError, run_lock

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from mmdet.utils.running.run_lock import run_lock
with run_lock(sys.argv[1]):
    print('held', flush=True)
    time.sleep(300)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds ``tmp_path``."""
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen([sys.executable, '-c', HOLDER, str(tmp_path)], env=env, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'held\n'
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_second_run_is_refused_and_told_who_holds_the_folder(tmp_path, holder):
    with pytest.raises(RunLockError, match=rf'process {holder.pid} on .*another --work-dir'), run_lock(tmp_path):
        pass


def test_lock_of_a_killed_run_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert f'"pid": {holder.pid}' in (tmp_path / '.run.lock').read_text()
    with run_lock(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / '.run.lock').read_text()


def test_process_may_lock_twice_and_keeps_the_lock_until_the_outer_end(tmp_path):
    code = f'from mmdet.utils.running.run_lock import run_lock\nwith run_lock({str(tmp_path)!r}): pass'
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    with run_lock(tmp_path):
        with run_lock(tmp_path):
            pass
        other = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
        assert 'RunLockError' in other.stderr
    assert subprocess.run([sys.executable, '-c', code], env=env).returncode == 0
