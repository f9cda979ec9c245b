"""Counting host-device synchronisations of the simulated device: what would make the host of a GPU wait, and where."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = f'{Path(__file__).resolve().parents[2] / "mmdet"}/'
_counting: list['Syncs'] = []


class Syncs:
    """Counts of a stretch of code: ``found`` has (kind, line of the package) -> number."""

    def __init__(self) -> None:
        self.found: Counter[tuple[str, str]] = Counter()

    def total(self) -> int:
        return sum(self.found.values())

    def kinds(self) -> dict[str, int]:
        kinds: Counter[str] = Counter()
        for (kind, _), number in self.found.items():
            kinds[kind] += number
        return dict(kinds)

    def lines(self) -> list[str]:
        """``'2 item at core/bbox/coder.py:12'``, most frequent first."""
        return [f'{number} {kind} at {line}' for (kind, line), number in self.found.most_common()]


@contextmanager
def count_syncs() -> Iterator[Syncs]:
    """Count while the context lasts; contexts may be nested."""
    syncs = Syncs()
    _counting.append(syncs)
    try:
        yield syncs
    finally:
        _counting.remove(syncs)


def note(kind: str) -> None:
    """Count a synchronisation in every open context."""
    if _counting:
        key = (kind, nearest_line())
        for syncs in _counting:
            syncs.found[key] += 1


def nearest_line() -> str:
    """The innermost line of the package that led here, ``'the backward pass'`` or such where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE):
            return f'{name.removeprefix(PACKAGE)}:{frame.f_lineno}'
        frame = frame.f_back
    return 'no line of the package'
