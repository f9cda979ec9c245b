"""The config that a run leaves in its work dir."""

from pathlib import Path

from mmcv import Config

from mmdet.apis.checking.unknown_keys import own_keys
from mmdet.utils.atomic_write import atomic_write


def write_config(cfg: Config, name: str) -> Path:
    """Write the config of the run into its work dir; a kill leaves the old file whole.

    References are values in it, so it lists the keys that were referred to.

    Returns:
        The file.
    """
    if own_keys(cfg):
        cfg.custom_keys = own_keys(cfg)
    path = Path(cfg.work_dir, name)
    with atomic_write(path, encoding='utf-8') as file:
        file.write(cfg.dump())
    return path
