"""Two processes of a gloo group, forked from this one so that nothing is imported again."""

import logging
import multiprocessing
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist


def run_two(function: Callable[..., Any], folder: Path, *args: Any, timeout: float = 120) -> list[tuple[int, str]]:
    """Call ``function(rank, *args)`` in both.

    Returns:
        Exit code and what was written to stderr of each process.
    """
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=_run, args=(rank, function, folder, args)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
    return [(p.exitcode, (folder / f'stderr_{rank}').read_text()) for rank, p in enumerate(processes)]


def _run(rank: int, function: Callable[..., Any], folder: Path, args: tuple[Any, ...]) -> None:
    with open(folder / f'stderr_{rank}', 'w') as file:
        sys.stderr = file
        logging.getLogger('mmdet').handlers.clear()
        try:
            dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
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
