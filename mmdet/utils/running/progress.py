"""A progress bar that is drawn on terminals only."""

import sys
from typing import TextIO

from mmcv import ProgressBar


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
