"""Tools run as processes that start with the package imported already, so that each needs a moment only."""

import io
import multiprocessing
import os
import runpy
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT = 120  # s


class Done(NamedTuple):
    """What a finished process left."""

    status: int
    text: str  # both of its outputs

    @property
    def error(self) -> str:
        """The last line, which says what is wrong."""
        return self.text.strip().splitlines()[-1]


def run_script(script: str, args: list[str], search_path: list[str], out_file: str) -> None:
    """Be the process: run a script as ``python SCRIPT ARGS`` would, with all output in a file."""
    os.chdir(ROOT)
    os.environ.update(CUDA_VISIBLE_DEVICES='', MPLBACKEND='Agg')
    sys.path[:0] = [str((ROOT / script).parent), *search_path]
    sys.argv = [script, *args]
    text, status = io.StringIO(), 0
    with redirect_stdout(text), redirect_stderr(text):
        try:
            runpy.run_path(str(ROOT / script), run_name='__main__')
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            print(stop.code if isinstance(stop.code, str) else '')
        except BaseException:
            status = 1
            traceback.print_exc()
    Path(out_file).write_text(text.getvalue())
    os._exit(status)


def run_tool(script: str, *args: object, folder: Path, search_path: tuple[str, ...] = (), check: bool = True) -> Done:
    """Run a tool; ``check`` asks that it ends well."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmdet.apis', 'matplotlib.pyplot', 'scipy.optimize'])
    out_file = folder / 'output.txt'
    process = context.Process(
        target=run_script, args=(script, [str(a) for a in args], list(search_path), str(out_file))
    )
    process.start()
    process.join(TIME_LIMIT)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f'{script} did not end in {TIME_LIMIT} s')
    done = Done(process.exitcode, out_file.read_text())
    assert not check or done.status == 0, f'{script} ended with {done.status}:\n{done.text}'
    return done
