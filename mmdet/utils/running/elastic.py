"""What torchrun says of jobs whose processes it has restarted."""

import os
import time
from pathlib import Path

CLOCK_SLACK = 2.0  # seconds by which the clock of a file server may be behind


def restarted_job_start() -> float | None:
    """When the job began whose processes torchrun has restarted; None where they run for the first time.

    The job's start is that of the parent process (torchrun's agent), less a slack for the clocks of file servers.
    Checkpoints of an earlier job in the same work dir are older. Systems without ``/proc`` give 0: all files count.

    Returns:
        Seconds of the epoch.
    """
    if int(os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')) == 0:
        return None
    try:
        stat = Path(f'/proc/{os.getppid()}/stat').read_text()
    except OSError:
        return 0.0
    # the name in brackets may hold spaces; behind it the 20th field is the start in ticks since the boot
    since_boot = int(stat.rpartition(')')[2].split()[19]) / os.sysconf('SC_CLK_TCK')
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot - CLOCK_SLACK
