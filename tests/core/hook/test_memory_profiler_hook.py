"""The memory of the machine in the log."""

import sys
from types import SimpleNamespace

import pytest

from mmdet.core.hook import MemoryProfilerHook


@pytest.fixture
def machine(monkeypatch):
    """psutil, which is optional, as of a machine with round numbers."""
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=7 << 20))
    module = SimpleNamespace(
        virtual_memory=lambda: SimpleNamespace(available=5 << 20, used=3 << 20, percent=37.5),
        swap_memory=lambda: SimpleNamespace(free=2 << 20, used=1 << 20, percent=33.3),
        Process=lambda: process,
    )
    monkeypatch.setitem(sys.modules, 'psutil', module)
    return module


def lines_of(hook):
    lines = []
    hook.after_iter(SimpleNamespace(iter=0, logger=SimpleNamespace(info=lines.append)))
    return lines


def test_line_has_machine_swap_and_process(machine):
    (line,) = lines_of(MemoryProfilerHook(interval=1))
    assert 'available_memory: 5 MB, used_memory: 3 MB, memory_utilization: 37.5 %' in line
    assert 'used_swap_memory: 1 MB' in line and line.endswith('current_process_memory: 7 MB')
    assert lines_of(MemoryProfilerHook(interval=2)) == []


def test_machine_without_swap_is_no_error(machine):
    def no_swap():
        raise RuntimeError('no swap here')

    machine.swap_memory = no_swap
    (line,) = lines_of(MemoryProfilerHook(interval=1))
    assert 'no swap memory, current_process_memory: ' in line


def test_missing_package_is_named_when_the_hook_is_built(monkeypatch):
    monkeypatch.setitem(sys.modules, 'psutil', None)
    with pytest.raises(ImportError, match='pip install psutil'):
        MemoryProfilerHook()
