"""Progress bars, drawn on terminals only."""

import itertools
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TextIO, TypeVar

from mmcv import ProgressBar
from mmcv.runner import get_dist_info

Item = TypeVar('Item')
DELAY = 2.0  # s; what is done by then has no bar
PERIOD = 0.2  # s between two drawings


class _NoText:
    """Takes text and forgets it."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


def progress_bar(total: int, file: TextIO | None = None) -> ProgressBar:
    """mmcv's bar over ``total`` tasks; silent where ``file`` (default: stdout) is no terminal."""
    file = file if file is not None else sys.stdout
    return ProgressBar(total, file=file if file.isatty() else _NoText())


def tracked(items: Iterable[Item], what: str, total: int | None = None, file: TextIO | None = None) -> Iterator[Item]:
    """Go through items; what takes longer than ``DELAY`` gets a bar, under a line that says what it counts.

    Args:
        items: of any kind.
        what: the line.
        total: number of items, where ``len(items)`` does not say it.
        file: default: stdout. Nothing is written where it is no terminal, nor by other processes than the first.
    """
    file = file if file is not None else sys.stdout
    if not file.isatty() or get_dist_info()[0]:
        yield from items
        return
    total = len(items) if total is None else total  # type: ignore[arg-type]
    began, drawn = time.monotonic(), 0
    bar: Any = None
    due = began + DELAY
    try:
        for done, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if done == total and bar is None:
                return
            if now < due and done < total:
                continue
            if bar is None:
                file.write(f'{what}\n')
                bar = progress_bar(total, file)
                bar.timer._t_start -= now - began  # what was done without it counts into its speed
            bar.update(done - drawn)
            drawn, due = done, now + PERIOD
    finally:
        if bar is not None:
            file.write('\n')


def duration(seconds: float) -> str:
    """``'1 h 05 min'``, ``'3 min 20 s'``, ``'12 s'``."""
    whole = round(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60:02d} s'
    return f'{whole // 3600} h {whole % 3600 // 60:02d} min'


def ticks(what: str, total: int, file: TextIO | None = None) -> Generator[int, None, None]:
    """For work that calls back: each ``next()`` begins one of ``total`` or more steps, ``close()`` ends the last."""
    yield from tracked(range(total), what, file=file)
    yield from itertools.count(total)
