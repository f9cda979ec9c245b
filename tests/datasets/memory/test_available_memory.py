"""Sizes, and the memory that a machine or its container has left."""

import pytest

from mmdet.datasets.memory.available_memory import available_memory, parse_size, size_text


@pytest.mark.parametrize(
    ('text', 'size'),
    [('8GB', 8 * 10**9), ('512 MiB', 512 * 2**20), ('1.5kb', 1500), (77, 77), ('77', 77), ('2TB', 2 * 10**12)],
)
def test_sizes(text, size):
    assert parse_size(text, 'x') == size


@pytest.mark.parametrize('text', ['GB', '-1GB', '1XB', '0', '', False, None])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="^x: expected a size such as '8GB'"):
        parse_size(text, 'x')


def test_size_text():
    assert [size_text(n) for n in (12, 1500, 2_300_000, 8 * 10**9)] == ['12 B', '1.5 kB', '2.3 MB', '8.0 GB']


def test_the_smaller_of_machine_and_container_counts(tmp_path):
    meminfo, group = tmp_path / 'meminfo', tmp_path / 'group'
    assert available_memory(meminfo, group) is None
    meminfo.write_text('MemTotal:       9 kB\nMemAvailable:       4 kB\n')
    assert available_memory(meminfo, group) == 4096
    (group / 'memory').mkdir(parents=True)
    for name, text in (('memory.max', '3000\n'), ('memory.current', '1000\n')):
        (group / name).write_text(text)
    assert available_memory(meminfo, group) == 2000
    (group / 'memory.max').write_text('max\n')
    assert available_memory(meminfo, group) == 4096
    for name, text in (('memory.limit_in_bytes', '500\n'), ('memory.usage_in_bytes', '900\n')):
        (group / 'memory' / name).write_text(text)
    assert available_memory(meminfo, group) == 0
