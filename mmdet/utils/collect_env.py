"""What a run stands on, for the head of its log."""

import subprocess
from pathlib import Path

from mmcv.utils import collect_env as collect_base_env

ROOT = Path(__file__).resolve().parents[2]


def collect_env() -> dict[str, str]:
    """Names and versions of system, interpreter, torch, mmcv and this package."""
    # the package imports this module while it is itself being imported
    import mmdet

    env = collect_base_env()
    commit = commit_of(ROOT)
    env['MMDetection'] = mmdet.__version__ + (f'+{commit}' if commit else '')
    return env


def commit_of(root: Path) -> str:
    """The first characters of the commit of a checkout; empty for a folder that is none, or without git."""
    if not (root / '.git').exists():
        return ''
    command = ['git', '-C', str(root), 'rev-parse', '--short=7', 'HEAD']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


if __name__ == '__main__':
    for key, value in collect_env().items():
        print(f'{key}: {value}')
