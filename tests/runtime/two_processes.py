"""Two processes of a gloo group, forked from a server so that nothing is imported again."""

import datetime
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist
from process import server_context


def run_two(
    function: Callable[..., Any], folder: Path, *args: Any, timeout: float = 120, group_timeout: float = 60
) -> list[tuple[int, str]]:
    """Call ``function(rank, *args)`` in both.

    Returns:
        Exit code and what was written to stderr of each process.
    """
    context = server_context()
    processes = [context.Process(target=_run, args=(rank, function, folder, args, group_timeout)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
    return [(p.exitcode, (folder / f'stderr_{rank}').read_text()) for rank, p in enumerate(processes)]


def _run(rank: int, function: Callable[..., Any], folder: Path, args: tuple[Any, ...], seconds: float) -> None:
    with open(folder / f'stderr_{rank}', 'w') as file:
        sys.stderr = file
        logging.getLogger('mmdet').handlers.clear()
        try:
            limit = datetime.timedelta(seconds=seconds)
            dist.init_process_group('gloo', f'file://{folder}/store', limit, rank=rank, world_size=2)
            function(rank, *args)
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
