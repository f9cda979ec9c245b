"""Runs the scripts of the tree as processes that need not import torch and mmdet first.

A server process imports them once; for each script it forks a child, which ends as the interpreter of a script does.
What asks for a fresh interpreter (``-m``, ``-c``, another tree first in ``PYTHONPATH``) gets one.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch
from mmcv.utils import logging as mmcv_logging

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300  # a script that takes longer is killed


def environment(**more: str) -> dict[str, str]:
    """That of this process, on the CPU and with one thread; the repository's packages can be imported."""
    # packages may have been made known by the environment's own path
    path = ':'.join(filter(None, [more.pop('PYTHONPATH', str(ROOT)), os.environ.get('PYTHONPATH')]))
    return {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1', 'PYTHONPATH': path, **more}


def run_script(argv: list[str], env: dict[str, str], search_path: list[str], outputs: list[str], folder: Path) -> None:
    """Be the process: run a script as ``python SCRIPT ARGS`` would, with what it writes in two files."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for stream, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_TRUNC), stream)
    sys.path[:0] = [str(Path(argv[0]).resolve().parent), *search_path]
    sys.argv = argv
    multiprocessing.set_start_method(None, force=True)  # that of a script, not the server's
    torch.set_num_threads(1)  # the server may have begun with more
    mmcv_logging.logger_initialized.clear()
    status = 0
    try:
        runpy.run_path(argv[0], run_name='__main__')
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        status = 1
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def server_context() -> multiprocessing.context.BaseContext:
    """What starts processes from a server that has imported the package, and has no threads."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmdet.apis', 'matplotlib.pyplot', 'scipy.optimize'])
    return context


def forked(
    argv: list[str], env: dict[str, str], search_path: Sequence[str] = (), folder: Path = ROOT
) -> subprocess.CompletedProcess:
    """Run a script in a child of the server, which is made when it is first asked for; ``folder`` is where it runs."""
    return forked_together(argv, [env], search_path, folder)[0]


def forked_together(
    argv: list[str], envs: Sequence[dict[str, str]], search_path: Sequence[str] = (), folder: Path = ROOT
) -> list[subprocess.CompletedProcess]:
    """Run a script once in each environment, all at the same time; where one fails the others are killed."""
    context = server_context()
    with contextlib.ExitStack() as stack:
        files = [[stack.enter_context(tempfile.NamedTemporaryFile('r')) for _ in range(2)] for _ in envs]
        children = [
            context.Process(target=run_script, args=(argv, env, list(search_path), [f.name for f in own], folder))
            for env, own in zip(envs, files)
        ]
        for child in children:
            child.start()
        late = not ended(children)
        done = [
            subprocess.CompletedProcess(argv, child.exitcode, out.read(), err.read())
            for child, (out, err) in zip(children, files)
        ]
    if late:
        raise AssertionError(f'{argv} did not end in {SECONDS} s:\n' + '\n'.join(p.stdout + p.stderr for p in done))
    return done


def ended(children: Sequence[multiprocessing.process.BaseProcess]) -> bool:
    """Wait until all processes have ended, or one has failed or takes too long; the others are then killed."""
    end, running, late = time.monotonic() + SECONDS, list(children), False
    while running and not late and not any(child.exitcode for child in children):
        late = not multiprocessing.connection.wait([child.sentinel for child in running], end - time.monotonic())
        running = [child for child in running if child.is_alive()]
    for child in running:
        child.kill()
        child.join()
    return not late


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(('', 0))
        return sock.getsockname()[1]


def python_pair(*args: object, search_path: Sequence[str] = ()) -> list[subprocess.CompletedProcess]:
    """Run a script in two processes with the variables by which those of torchrun find each other.

    Args:
        args: the script's path and its arguments.
        search_path: further folders that are searched for modules.

    Raises:
        AssertionError: one ended with another status than 0.
    """
    shared = dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
    envs = [environment(**shared, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    done = forked_together([str(arg) for arg in args], envs, search_path)
    for process in done:
        if process.returncode:
            raise AssertionError(f'{args} ended with {process.returncode}:\n{process.stdout}\n{process.stderr}')
    return done


def python(*args: object, check: bool = True, **env: str) -> subprocess.CompletedProcess:
    """Run a script, or what follows ``-m`` or ``-c``, from the repository's root.

    Args:
        args: the script's path and its arguments.
        check: raise an AssertionError with what was written where it ends with another status than 0.
        env: further variables of its environment.
    """
    argv = [str(arg) for arg in args]
    first, *folders = env.get('PYTHONPATH', str(ROOT)).split(':')
    if argv[0].startswith('-') or first != str(ROOT):
        command = [sys.executable, *argv]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(**env), capture_output=True, text=True, timeout=SECONDS
        )
    else:
        done = forked(argv, environment(**env), folders)
    if check and done.returncode:
        raise AssertionError(f'{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}')
    return done
