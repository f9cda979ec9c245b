"""The process that stands for the job, whatever stands between it and this one."""

import os
import subprocess
import sys

import pytest

from mmdet.utils.running import elastic

ASK = f"""
import importlib.util
spec = importlib.util.spec_from_file_location('elastic', {elastic.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.agent_pid(), module.restarted_job_start())
"""


@pytest.mark.parametrize('wrapped', [False, True])
def test_agent_is_found_behind_a_shell_script(wrapped):
    command = [sys.executable, '-c', ASK]
    # the shell must not become python itself, so it has something to do afterwards
    command = ['sh', '-c', '"$@"; true', 'sh', *command] if wrapped else command
    env = {**os.environ, elastic.RESTARTS: '1'}
    pid, start = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
    assert int(pid) == os.getpid()
    own = float(subprocess.run(['stat', '-c', '%Y', f'/proc/{os.getpid()}'], capture_output=True, text=True).stdout)
    assert abs(float(start) + elastic.CLOCK_SLACK - own) < 60  # procfs gives its files the time of their first look


def test_first_start_is_no_restart(monkeypatch):
    monkeypatch.delenv(elastic.RESTARTS, raising=False)
    assert elastic.restarted_job_start() is None
