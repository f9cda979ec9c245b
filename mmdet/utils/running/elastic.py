"""What torchrun says of jobs whose processes it has restarted."""

import os
import time
from pathlib import Path

RESTARTS = 'TORCHELASTIC_RESTART_COUNT'
CLOCK_SLACK = 2.0  # seconds by which the clock of a file server may be behind


def restarted_job_start() -> float | None:
    """When the job began whose processes torchrun has restarted; None where they run for the first time.

    The job's start is that of torchrun's agent, less a slack for the clocks of file servers. Checkpoints of an earlier
    job in the same work dir are older. Systems without ``/proc`` give 0: all files count.

    Returns:
        Seconds of the epoch.
    """
    if int(os.environ.get(RESTARTS, '0')) == 0:
        return None
    try:
        stat = Path(f'/proc/{agent_pid()}/stat').read_text()
    except OSError:
        return 0.0
    # the name in brackets may hold spaces; behind it the 20th field is the start in ticks since the boot
    since_boot = int(stat.rpartition(')')[2].split()[19]) / os.sysconf('SC_CLK_TCK')
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot - CLOCK_SLACK


def agent_pid() -> int:
    """The process that started this one for torchrun: the nearest that was not itself given torchrun's variables.

    A shell script between the two is a new process at each restart.

    Raises:
        OSError: the system has no ``/proc``.
    """
    pid = os.getppid()
    while pid > 1 and f'{RESTARTS}='.encode() in _environment(pid):
        stat = Path(f'/proc/{pid}/stat').read_text()
        pid = int(stat.rpartition(')')[2].split()[1])
    return pid


def _environment(pid: int) -> bytes:
    """Variables that a process was started with; empty where they may not be read."""
    try:
        return Path(f'/proc/{pid}/environ').read_bytes()
    except PermissionError:
        return b''
