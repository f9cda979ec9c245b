"""Tools run as processes, with both of their outputs as one text."""

from typing import NamedTuple

from process import ROOT, environment, forked

__all__ = ['ROOT', 'Done', 'run_tool']


class Done(NamedTuple):
    """What a finished process left."""

    status: int
    text: str  # both of its outputs

    @property
    def error(self) -> str:
        """The last line, which says what is wrong."""
        return self.text.strip().splitlines()[-1]


def run_tool(script: str, *args: object, search_path: tuple[str, ...] = (), check: bool = True) -> Done:
    """Run a tool; ``check`` asks that it ends well."""
    ended = forked([str(script), *map(str, args)], environment(MPLBACKEND='Agg'), search_path)
    done = Done(ended.returncode, ended.stdout + ended.stderr)
    assert not check or done.status == 0, f'{script} ended with {done.status}:\n{done.text}'
    return done
