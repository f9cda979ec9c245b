"""How much memory a process may still take, and sizes as people write them."""

import re
from pathlib import Path

UNITS = {'': 1, 'B': 1, **{f'{k}B': 1000**i for i, k in enumerate('KMGT', 1)}}
UNITS.update({f'{k}iB': 1024**i for i, k in enumerate('KMGT', 1)})
CGROUPS = (('memory.max', 'memory.current'), ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes'))


def parse_size(text: str | int, what: str) -> int:
    """Bytes: ``'8GB'`` is 8 * 1000**3, ``'512MiB'`` is 512 * 1024**2, a number is bytes.

    Args:
        text: the size.
        what: what the error calls it.

    Raises:
        ValueError: it is none, or not above 0.
    """
    match = re.fullmatch(r'\s*(\d+(?:\.\d*)?)\s*([A-Za-z]*)\s*', str(text))
    unit = {name.lower(): factor for name, factor in UNITS.items()}.get(match[2].lower()) if match else None
    if isinstance(text, bool) or match is None or unit is None or float(match[1]) * unit < 1:
        raise ValueError(f"{what}: expected a size such as '8GB', '512MiB' or a number of bytes, got {text!r}")
    return int(float(match[1]) * unit)


def size_text(num_bytes: float) -> str:
    """``1_500_000_000`` -> ``'1.5 GB'``."""
    for unit, factor in (('GB', 1000**3), ('MB', 1000**2), ('kB', 1000)):
        if num_bytes >= factor:
            return f'{num_bytes / factor:.1f} {unit}'
    return f'{num_bytes:.0f} B'


def available_memory(meminfo: Path = Path('/proc/meminfo'), cgroup: Path = Path('/sys/fs/cgroup')) -> int | None:
    """Bytes that the machine, and the container where it has a limit, can still give; None where nobody says.

    Args:
        meminfo: file of Linux.
        cgroup: folder of the process's control group, as a container sees it.
    """
    known = []
    if meminfo.is_file():
        found = re.search(r'MemAvailable:\s*(\d+) kB', meminfo.read_text())
        known += [1024 * int(found[1])] if found else []
    for limit, used in CGROUPS:
        numbers = [path.read_text().strip() for path in (cgroup / limit, cgroup / used) if path.is_file()]
        if len(numbers) == 2 and all(number.isdigit() for number in numbers):
            known.append(max(int(numbers[0]) - int(numbers[1]), 0))
    return min(known) if known else None
