"""What the command-line tools have in common: options, configs, processes, and errors without a traceback."""

import argparse
import contextlib
import datetime
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmcv import Config, DictAction
from torch.distributed.rendezvous import rendezvous

from mmdet.apis.checking.unused_options import options_without_effect
from mmdet.apis.error_texts import UserError, is_about_connection, shown_text
from mmdet.utils.configs.custom_imports import import_custom_modules
from mmdet.utils.configs.read_config import read_config
from mmdet.utils.errors import CALLS, RunInterruptedError
from mmdet.utils.misc import update_data_root
from mmdet.utils.registry import did_you_mean
from mmdet.utils.replace_cfg_vals import replace_cfg_vals
from mmdet.utils.running.elastic import RESTARTS
from mmdet.utils.running.group_failure import announce_failure, failure_of_another, watch_for_failures
from mmdet.utils.util_distribution import DEVICES, get_device

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
DEFAULT_PORT = '29500'
FAILURE_WAIT = 3.0  # seconds in which the reason of another process comes after its connection has ended


@contextlib.contextmanager
def reported_errors(*also: type[Exception]) -> Iterator[None]:
    """Show errors that speak for themselves without the calls that led there, and leave with status 1.

    Those are mistakes in options and configs, and what a part of this package or of mmcv says of its arguments while
    it is built. Errors of the user's own classes keep their calls.

    Of several processes, the one that fails tells the others why; these end with its reason.

    Args:
        also: further kinds, of commands that do nothing but read files and write others: all that they say is of those.

    ``MMDET_TRACEBACK=1`` in the environment shows everything. Where there is no error, the process leaves its group.
    """
    try:
        yield
    except RunInterruptedError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        reason = failure_of_another(wait=FAILURE_WAIT) if is_about_connection(error) else None
        if reason is not None:
            sys.exit(f'error: the run ends, since another process has failed: {reason}')
        text = shown_text(error)
        if text is None and also and isinstance(error, also) and os.environ.get('MMDET_TRACEBACK') != '1':
            text = f'{str(error) or type(error).__name__} {CALLS}'
        announce_failure(text or f'{type(error).__name__}: {error}')
        if text is None:
            raise
        sys.exit(f'error: {text}')
    # a process that failed must not get here: it would wait for operations that the others began, instead of ending
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of both training and testing."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help="changes to the config, key=value; lists as key='[a,b]' or key=a,b, nested keys with dots",
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='who started the processes')
    parser.add_argument(
        '--trust-checkpoint', action='store_true', help='allow checkpoint files that run code while they are read'
    )
    # torch.distributed.launch passes the first spelling (torch < 2) or the second one; torchrun none
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by launchers')


def fraction(text: str) -> float:
    """A score or an overlap of a command line, for ``argparse``.

    Raises:
        argparse.ArgumentTypeError: it is no number from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = float('nan')
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'expected a number from 0 to 1, got {text}')
    return value


def newer_option(args: argparse.Namespace, name: str) -> None:
    """Let ``--options`` of old command lines mean the option ``name``.

    Raises:
        UserError: both are given.
    """
    if args.options and getattr(args, name):
        raise UserError(f'--options is the old name of --{name.replace("_", "-")}; give one of them')
    setattr(args, name, getattr(args, name) or args.options)


def config_from_args(args: argparse.Namespace) -> Config:
    """The config file with references resolved, ``$MMDET_DATASETS`` and ``--cfg-options`` applied.

    Warns of options that change nothing.

    Raises:
        UserError: there is no such file.
        ConfigImportError: a module of ``custom_imports`` is not there.
    """
    os.environ.setdefault('LOCAL_RANK', str(getattr(args, 'local_rank', 0)))
    path = Path(args.config)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else None
        known = [str(file) for file in folder.glob('*.py')] if folder else []
        raise UserError(f'there is no config {args.config}{did_you_mean(args.config, known)}')
    cfg = replace_cfg_vals(read_config(args.config))
    update_data_root(cfg)
    if args.cfg_options:
        for text in options_without_effect(cfg, args.cfg_options):
            warnings.warn(text, UserWarning, stacklevel=2)
        cfg.merge_from_dict(args.cfg_options)
    import_custom_modules(cfg)
    if getattr(args, 'trust_checkpoint', False):
        cfg.trust_checkpoint = True
    return cfg


def one_gpu_id(args: argparse.Namespace) -> int:
    """The GPU of a run without launcher.

    Raises:
        UserError: more than one GPU is asked for.
    """
    asked = getattr(args, 'gpus', None) or len(args.gpu_ids or [0])
    if asked > 1:
        raise UserError(
            f'one process uses one GPU, {asked} were asked for; for several: '
            f'bash tools/dist_{"train" if hasattr(args, "resume_from") else "test"}.sh CONFIG ... {asked}'
        )
    return args.gpu_ids[0] if args.gpu_ids else args.gpu_id


def device_of_run(cfg: Config) -> str:
    """The device of this machine; warns where the config names the other one.

    Raises:
        UserError: the config names a device that there is not.
    """
    asked, device = cfg.get('device'), get_device()
    if asked is not None and asked not in DEVICES:
        raise UserError(f'device: expected {" or ".join(map(repr, DEVICES))}, got {asked!r}')
    if asked not in (None, device):
        cure = 'CUDA_VISIBLE_DEVICES= (empty) hides the GPUs' if device == 'cuda' else 'torch finds no GPU here'
        warnings.warn(
            f'device={asked!r} of the config is left aside, the command runs on {device!r}: {cure}',
            UserWarning,
            stacklevel=2,
        )
    return device


def start_processes(launcher: str, cfg: Config) -> bool:
    """Join the other processes of the run, and make the GPU of this process the current one.

    ``cfg.dist_params`` (``backend``, ``timeout`` in seconds, ...) goes to torch; without GPU ``nccl`` becomes ``gloo``.

    Args:
        launcher: ``'none'``, ``'pytorch'`` (torchrun), ``'slurm'`` or ``'mpi'``.
        cfg: config; without a launcher the GPU is the one of ``gpu_ids``, else one by ``LOCAL_RANK``.

    Returns:
        Whether there are several processes to speak of (False for ``'none'``).

    Raises:
        UserError: the launcher has not set its variables, or there is no such GPU.
    """
    if launcher == 'none':
        _use_gpu(cfg.get('gpu_ids') or [0])
        return False
    if launcher == 'slurm':
        _environment_from_slurm()
    elif launcher == 'mpi':
        _environment_from_mpi()
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ]
    if missing:
        raise UserError(f'--launcher {launcher}: {missing[0]} is not set; start the processes with tools/dist_*.sh')
    params = dict(cfg.get('dist_params') or {})
    params.setdefault('backend', 'nccl')
    if 'timeout' in params:
        params['timeout'] = datetime.timedelta(seconds=params['timeout'])
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count())
    elif params['backend'] == 'nccl':
        params['backend'] = 'gloo'
    _join_group(params)
    watch_for_failures()
    return True


def _join_group(params: dict[str, Any]) -> None:
    """Meet the other processes of the run; ``params`` are arguments of ``init_process_group``."""
    attempt = os.environ.get(RESTARTS, '0')
    if attempt != '0' and 'init_method' not in params:
        # torchrun's store outlives the processes that it restarts, and would give the addresses of those before
        timeout = {key: value for key, value in params.items() if key == 'timeout'}
        store, rank, world_size = next(rendezvous('env://', **timeout))
        params = dict(params, store=dist.PrefixStore(f'attempt_{attempt}', store), rank=rank, world_size=world_size)
    dist.init_process_group(**params)


def _use_gpu(gpu_ids: list[int]) -> None:
    """Make the one GPU of a run the current one, so that nothing is kept or drawn on another."""
    if not torch.cuda.is_available():
        return
    count = torch.cuda.device_count()
    if gpu_ids[0] not in range(count):
        raise UserError(f'--gpu-id {gpu_ids[0]}: there is no such GPU; this machine has 0 to {count - 1}')
    torch.cuda.set_device(gpu_ids[0])


def _environment_from_slurm() -> None:
    """torch's variables from those of ``srun``."""
    tasks, rank = os.environ.get('SLURM_NTASKS'), os.environ.get('SLURM_PROCID')
    if tasks is None or rank is None:
        raise UserError('--launcher slurm: SLURM_NTASKS and SLURM_PROCID are not set; start with tools/slurm_*.sh')
    if 'MASTER_ADDR' not in os.environ:
        nodes = os.environ['SLURM_NODELIST']
        shown = subprocess.run(['scontrol', 'show', 'hostname', nodes], capture_output=True, text=True, check=True)
        os.environ['MASTER_ADDR'] = shown.stdout.split()[0]
    os.environ.setdefault('MASTER_PORT', DEFAULT_PORT)
    os.environ.update(WORLD_SIZE=tasks, RANK=rank, LOCAL_RANK=os.environ.get('SLURM_LOCALID', '0'))
    _set_local_world_size('SLURM_NTASKS_PER_NODE')


def _set_local_world_size(variable: str) -> None:
    """torchrun's variable for the number of processes on this machine, from a launcher's that may be missing."""
    if os.environ.get(variable):
        os.environ.setdefault('LOCAL_WORLD_SIZE', os.environ[variable])


def _environment_from_mpi() -> None:
    """torch's variables from those of Open MPI."""
    names = {'WORLD_SIZE': 'SIZE', 'RANK': 'RANK', 'LOCAL_RANK': 'LOCAL_RANK'}
    for ours, theirs in names.items():
        value = os.environ.get(f'OMPI_COMM_WORLD_{theirs}')
        if value is None:
            raise UserError(f'--launcher mpi: OMPI_COMM_WORLD_{theirs} is not set; start with mpirun')
        os.environ[ours] = value
    _set_local_world_size('OMPI_COMM_WORLD_LOCAL_SIZE')
    os.environ.setdefault('MASTER_PORT', DEFAULT_PORT)
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
