"""What a command shows of an error: one line of those that speak for themselves, the calls of the others."""

import errno
import os
import re
import sys
import traceback

from mmdet.apis.stage_plan import StagePlanError
from mmdet.datasets.audit.audit import AuditError
from mmdet.utils.checkpoints.checkpoint import UnsafeCheckpointError
from mmdet.utils.configs.assertions import asserted
from mmdet.utils.configs.config_error import ConfigError, is_placed
from mmdet.utils.configs.kinds import LIBRARIES
from mmdet.utils.errors import CALLS, ReportedError
from mmdet.utils.registry import __name__ as REGISTRY
from mmdet.utils.running.group_failure import is_grouped

# the disk takes no more, or may not be written
DISK_ERRORS = (
    *(errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EFBIG, errno.ENOTDIR, errno.EIO),
    errno.ESTALE,
)
# what torch and the system say of faults of the machine (a pattern), and what that means for whoever started a run
MACHINE_FAULTS = (
    (
        r'DataLoader worker .*(Bus error|shared memory)',
        'the loading processes have used up the shared memory of the machine (/dev/shm): give it more (docker run '
        '--shm-size), or take fewer data.workers_per_gpu',
    ),
    (
        r'DataLoader worker .*(killed by signal: \w+|exited unexpectedly)',
        'a loading process has been killed, as the system does where the memory of the machine is used up: take fewer '
        'data.workers_per_gpu, or share_annotations=True in the data set',
    ),
    (
        r"Unable to allocate|DefaultCPUAllocator: (can't|not enough)|^MemoryError$",
        'the memory of the machine is used up: take fewer data.workers_per_gpu, smaller images, or '
        'share_annotations=True in the data set',
    ),
    (
        r'Too many open files',
        'too many files are open: raise the limit (ulimit -n 4096) or take fewer data.workers_per_gpu',
    ),
)
CONNECTION_ENDED = (
    'the connection to another process has ended, and it gave no reason: it was killed, or has crashed; its own output '
    'may say more'
)
# kinds of errors beside those that parts raise on purpose, which torch and Python raise for values that cannot be
BUILDING_KINDS = (ArithmeticError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
KNOWN_PARTS = {*LIBRARIES, 'numpy', *sys.stdlib_module_names}
MISSING_KEY = re.compile(r"'(?:ConfigDict|Config)' object has no attribute '(\w+)'")
LOST_CONNECTION = re.compile(
    r'gloo/|NCCL|Connection (closed|reset)|Broken pipe|Socket (T|t)imeout|ncclInternalError|Timed out waiting'
)


class UserError(ValueError):
    """Something that the user of a command can put right; shown as one line."""


def shown_text(error: Exception) -> str | None:
    """What is shown of an error that speaks for itself, None for others."""
    if os.environ.get('MMDET_TRACEBACK') == '1':
        return None
    if isinstance(error, (UserError, ReportedError, UnsafeCheckpointError, AuditError, StagePlanError, ConfigError)):
        return _own_text(error)
    system_error = _of_system(error)
    if system_error is not None:
        return system_error
    if isinstance(error, (KeyError, OSError, TypeError, ValueError)) and _is_about_config(error):
        return f'{error.args[0] if isinstance(error, KeyError) else error} {CALLS}'
    if isinstance(error, AssertionError) and _is_about_config(error):
        return _of_assertion(error)
    if isinstance(error, BUILDING_KINDS) and is_placed(error) and _is_of_known_parts(error):
        return f'{type(error).__name__}: {error} {CALLS}'
    missing = MISSING_KEY.search(str(error)) if isinstance(error, AttributeError) else None
    if missing:
        return f'the config has no {missing[1]!r} where it is needed {CALLS}'
    return _of_machine(error) if isinstance(error, (MemoryError, OSError, RuntimeError)) else None


def is_about_connection(error: Exception) -> bool:
    """Whether an operation between processes may have failed, which may be due to another process's end."""
    return isinstance(error, RuntimeError) and not isinstance(error, ReportedError) and is_grouped()


def _own_text(error: Exception) -> str:
    """An error's text; of one that a loading process has sent, which stands behind its calls, the last line."""
    text = str(error)
    if text.startswith('Caught ') and 'DataLoader worker' in text:
        return text.strip().splitlines()[-1].partition(': ')[2]
    return text


def _of_system(error: Exception) -> str | None:
    """A file and what the system says of it; mmcv's registries put an error of their own in front of it."""
    inner = error.__context__
    if isinstance(inner, OSError) and str(error).endswith(str(inner)):
        error = inner
    if not isinstance(error, OSError) or not error.strerror:
        return None
    file, reason = error.filename2 or error.filename, error.strerror  # of a file that was to be renamed the new name
    if error.errno in DISK_ERRORS:
        return f'{file or "a file that was written"}: {reason}; checkpoints that were whole before stay'
    if file is None:
        return None
    if isinstance(error, IsADirectoryError):
        return f'{file} is a folder, and a file is wanted there'
    if isinstance(error, FileExistsError):
        return f'{file} is a file, and a folder is wanted there'
    return f'{file}: {reason} {CALLS}'


def _is_about_config(error: Exception) -> bool:
    """Whether a part of this package or of mmcv has refused its place in a config."""
    origin = error.__traceback__
    while origin is not None and origin.tb_next is not None:
        origin = origin.tb_next
    raised_in = origin.tb_frame.f_globals.get('__name__', '') if origin else ''
    return is_placed(error) and raised_in.partition('.')[0] in ('mmdet', 'mmcv')


def _is_of_known_parts(error: Exception) -> bool:
    """Whether an error arose in code of this package, mmcv or torch alone, from the first registry on."""
    modules = [frame.f_globals.get('__name__', '') for frame, _ in traceback.walk_tb(error.__traceback__)]
    start = next((i for i, name in enumerate(modules) if name == REGISTRY), None)
    return start is not None and all(name.partition('.')[0] in KNOWN_PARTS for name in modules[start:])


def _of_assertion(error: AssertionError) -> str:
    """What a part of mmcv says of its arguments, with the condition where it says nothing but the names of parts."""
    said = str(error.args[0]) if error.args else ''
    text, bracket, place = said.rpartition(' [in ')
    text, place = (text, bracket + place) if bracket else (said, '')
    condition = asserted(error)
    if text.strip().endswith(':') or not text:
        text = f'{text.strip()} needs {condition or "something else"}'.strip()
    return f'{text}{place} {CALLS}'


def _of_machine(error: Exception) -> str | None:
    """What a fault of the machine means, or of a process that has ended without a word."""
    texts = [line for line in str(error).strip().splitlines() if line] or [type(error).__name__]
    if is_about_connection(error) and LOST_CONNECTION.search(str(error)):
        return f'{CONNECTION_ENDED} ({texts[0]})'
    for pattern, meaning in MACHINE_FAULTS:
        if re.search(pattern, texts[-1]):
            return f'{meaning} ({texts[-1]})'
    return None
