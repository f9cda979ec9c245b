"""What a run stands on, for the head of its log."""

from mmcv.utils import collect_env as collect_base_env
from mmcv.utils import get_git_hash


def collect_env() -> dict[str, str]:
    """Names and versions of system, interpreter, torch, mmcv and this package."""
    # the package imports this module while it is itself being imported
    import mmdet

    env = collect_base_env()
    commit = get_git_hash(digits=7)
    env['MMDetection'] = mmdet.__version__ + (f'+{commit}' if commit != 'unknown' else '')
    return env


if __name__ == '__main__':
    for key, value in collect_env().items():
        print(f'{key}: {value}')
