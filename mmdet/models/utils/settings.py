"""``train_cfg`` and ``test_cfg`` in whatever form they come."""

from typing import Any

from mmcv import Config, ConfigDict


def as_config(cfg: Any) -> Any:
    """A plain dict, or the content of a whole ``mmcv.Config``, as ``ConfigDict`` (keys readable as attributes).

    Anything else (a ``ConfigDict``, None, a list with the settings of each stage) is given back as it is.
    """
    if isinstance(cfg, Config):
        return cfg._cfg_dict
    return ConfigDict(cfg) if type(cfg) is dict else cfg
