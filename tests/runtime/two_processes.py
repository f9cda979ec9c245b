"""Two processes of a gloo group, forked from a server so that nothing is imported again."""

import datetime
import itertools
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from process import server_context

End = tuple[int, str]  # exit code of a process, and what it wrote to stderr


def run_two(
    function: Callable[..., Any], folder: Path, *args: Any, timeout: float = 120, group_timeout: float = 60
) -> list[End]:
    """Call ``function(rank, *args)`` in both; gives how each of them ended."""
    return run_pairs({'': args}, function, folder, timeout, group_timeout)['']


def run_pairs(
    calls: Mapping[str, tuple[Any, ...]],
    function: Callable[..., Any],
    folder: Path,
    timeout: float = 120,
    group_timeout: float = 60,
) -> dict[str, list[End]]:
    """Pairs of processes that run at the same time, as most of their time is spent in waiting.

    Args:
        calls: name of a pair, and of its folder below ``folder`` -> arguments behind the rank.
        function: that is called in each process.
        folder: holds what they write.
        timeout: seconds after which a process is killed; its exit code is then -9.
        group_timeout: seconds that the backend waits.
    """
    context = server_context()
    pairs = {}
    for name, args in calls.items():
        (folder / name).mkdir(exist_ok=True)
        pairs[name] = [
            context.Process(target=_run, args=(rank, function, folder / name, args, group_timeout)) for rank in range(2)
        ]
        for process in pairs[name]:
            process.start()
    end = time.monotonic() + timeout
    for process in itertools.chain(*pairs.values()):
        process.join(max(end - time.monotonic(), 0))
        if process.is_alive():
            process.kill()
            process.join()
    return {
        name: [(p.exitcode, (folder / name / f'stderr_{rank}').read_text()) for rank, p in enumerate(pair)]
        for name, pair in pairs.items()
    }


def _run(rank: int, function: Callable[..., Any], folder: Path, args: tuple[Any, ...], seconds: float) -> None:
    with open(folder / f'stderr_{rank}', 'w') as file:
        sys.stderr = file
        logging.getLogger('mmdet').handlers.clear()
        torch.set_num_threads(1)
        try:
            limit = datetime.timedelta(seconds=seconds)
            dist.init_process_group('gloo', f'file://{folder}/store', limit, rank=rank, world_size=2)
            function(rank, *args)
            if dist.is_initialized():  # a run that failed has ended the group itself
                dist.destroy_process_group()
        except SystemExit as end:
            if isinstance(end.code, str):
                file.write(end.code)
                raise SystemExit(1) from None
            raise
        except BaseException:
            traceback.print_exc(file=file)
            file.flush()
            raise SystemExit(1) from None
