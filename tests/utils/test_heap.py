"""Keeping and giving back freed memory."""

import os
import subprocess
import sys

import pytest

from mmdet.utils.running import allocator

# Page faults and resident MB of a fresh process that makes and drops arrays of 8 MB, then many small objects.
SCRIPT = """
import resource, runpy, sys
import numpy as np
heap = runpy.run_path(sys.argv[2])  # without the rest of the package, whose import takes seconds

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 2**20

if sys.argv[1] == 'keep':
    assert heap['keep_freed_memory']()
for _ in range(20):
    np.ones(8 << 20, np.uint8)
before = faults()
for _ in range(20):
    np.ones(8 << 20, np.uint8)
many, small = faults() - before, [bytearray(2000) for _ in range(20000)]
last = bytearray(2000)  # what lies below it cannot go back by itself
del small
held = resident()
heap['return_freed_memory']()
print(many, held - resident())
"""


def run(mode: str) -> tuple[int, float]:
    env = {**os.environ, 'MALLOC_MMAP_THRESHOLD_': '131072'} if mode == 'default' else None
    command = [sys.executable, '-c', SCRIPT, mode, allocator.__file__]
    shown = subprocess.run(command, capture_output=True, text=True, env=env)
    assert shown.returncode == 0, shown.stderr
    faults, returned = shown.stdout.split()
    return int(faults), float(returned)


@pytest.mark.skipif(allocator._glibc('mallopt') is None, reason='no glibc')
def test_kept_memory_makes_no_new_pages_and_freed_memory_goes_back():
    (plain, returned), (kept, _) = run('default'), run('keep')
    assert kept < plain / 10
    assert returned > 20  # of 40 MB of small objects


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(allocator, '_glibc', lambda name: None)
    assert not allocator.keep_freed_memory() and not allocator.return_freed_memory()
