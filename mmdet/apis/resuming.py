"""Where a run goes on, and what is said of runs that are over."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmcv import Config
from mmcv.runner import BaseRunner, IterBasedRunner

from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.checkpoints.file_check import DamagedCheckpointError, newest_whole
from mmdet.utils.errors import RunInterruptedError
from mmdet.utils.logger import get_root_logger
from mmdet.utils.misc import checkpoints_in, find_latest_checkpoint
from mmdet.utils.running.elastic import restarted_job_start


def resume_point(cfg: Config) -> str | None:
    """The checkpoint that a run goes on from: ``resume_from``, else with ``auto_resume`` the newest whole one.

    Where torchrun has restarted the processes, the newest that the job itself has written comes first.

    Raises:
        DamagedCheckpointError: ``resume_from`` is damaged, or no checkpoint of the work dir is whole.
    """
    since = restarted_job_start()
    own = None if since is None else whole_checkpoint(cfg.work_dir, since)
    if own is not None:
        return own
    if cfg.get('resume_from'):
        return str(cfg.resume_from)
    return whole_checkpoint(cfg.work_dir) if cfg.get('auto_resume') else None


def whole_checkpoint(work_dir: str, since: float = 0.0) -> str | None:
    """The newest checkpoint of a folder that is whole; damaged ones are named in the log. None where there is none.

    Args:
        work_dir: the folder.
        since: seconds of the epoch; files that are older do not count.

    Raises:
        DamagedCheckpointError: there are checkpoints, and all are damaged.
    """
    found = [path for path in checkpoints_in(work_dir) if path.stat().st_mtime >= since]
    path, problems = newest_whole(found)
    if path is None and problems:
        raise DamagedCheckpointError(f'no checkpoint of {work_dir} is whole: {"; ".join(problems)}')
    for problem in problems:
        get_root_logger().warning(f'auto_resume: {problem}. The run goes on from {path}')
    return str(path) if path else None


def resumed_seed(cfg: Config) -> int | None:
    """The seed of the run that this one goes on from: samplers and loader workers draw from it again."""
    path = resume_point(cfg)
    return _read_to_resume(path).get('meta', {}).get('seed') if path else None


def _read_to_resume(path: str) -> dict[str, Any]:
    """A checkpoint; where it is damaged, the error names an earlier one that is whole."""
    try:
        return read_checkpoint(path)
    except DamagedCheckpointError as error:
        others = [other for other in checkpoints_in(Path(path).parent) if not other.samefile(path)]
        earlier, _ = newest_whole(others)
        offer = f'. {earlier} is whole: --resume-from {earlier}, or --auto-resume' if earlier else ''
        raise DamagedCheckpointError(f'{error}{offer}') from error


def say_if_finished(runner: BaseRunner) -> None:
    """Log that a resumed run has nothing left to do."""
    by_iter = isinstance(runner, IterBasedRunner)
    done, length = (runner.iter, runner.max_iters) if by_iter else (runner.epoch, runner.max_epochs)
    if length is not None and done >= length:
        unit = 'iterations' if by_iter else 'epochs'
        runner.logger.info(f'this run is finished: {done} of {length} {unit} are done; give more of them to go on')


@contextlib.contextmanager
def named_point_after_interrupt(work_dir: str) -> Iterator[None]:
    """Let Ctrl-C end in one line that says how to go on.

    Raises:
        RunInterruptedError: in the place of ``KeyboardInterrupt``.
    """
    try:
        yield
    except KeyboardInterrupt:
        latest = find_latest_checkpoint(work_dir)
        kept = f'--auto-resume goes on from {latest}' if latest else 'there is no checkpoint yet'
        error = RunInterruptedError(f'interrupted: {kept}')
        error.exit_code = 130  # as shells say it of SIGINT
        raise error from None
