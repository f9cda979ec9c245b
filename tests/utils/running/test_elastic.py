"""The process that stands for the job, whatever stands between it and this one."""

import subprocess
import sys
import time

import pytest

from mmdet.utils.running import elastic

ASK = f"""
import importlib.util
spec = importlib.util.spec_from_file_location('elastic', {elastic.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.agent_pid(), module.restarted_job_start())
"""


AGENT = f"""
import os, subprocess, sys
env = dict(os.environ, {elastic.RESTARTS}='1')
print(os.getpid(), subprocess.run(sys.argv[1:], env=env, capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.parametrize('wrapped', [False, True])
def test_agent_is_found_behind_a_shell_script(wrapped):
    command = [sys.executable, '-c', ASK]
    # the shell must not become python itself, so it has something to do afterwards
    command = ['sh', '-c', '"$@"; true', 'sh', *command] if wrapped else command
    before = time.time()
    done = subprocess.run([sys.executable, '-c', AGENT, *command], capture_output=True, text=True, check=True)
    agent, found, start = done.stdout.split()
    assert found == agent
    assert before - 1 < float(start) + elastic.CLOCK_SLACK < time.time() + 1


def test_first_start_is_no_restart(monkeypatch):
    monkeypatch.delenv(elastic.RESTARTS, raising=False)
    assert elastic.restarted_job_start() is None
