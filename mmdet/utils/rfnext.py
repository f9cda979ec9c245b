"""Receptive-field search: rebuilding a detector with the dilations that a search has found."""

from mmcv import Config
from torch import nn


def rfnext_init_model(detector: nn.Module, cfg: Config) -> None:
    """Let the config's ``RFSearchHook`` change the detector's convolutions before weights are loaded.

    Does nothing for configs without such a hook.

    Raises:
        ValueError: the config asks for more than one such hook.
    """
    hooks = [dict(hook) for hook in cfg.get('custom_hooks') or [] if hook.get('type') == 'RFSearchHook']
    if not hooks:
        return
    if len(hooks) > 1:
        raise ValueError(f'one RFSearchHook can rebuild a detector; the config has {len(hooks)}')
    # it draws in mmcv's search operators, which only such configs need
    from mmcv.cnn import RFSearchHook

    settings = {key: value for key, value in hooks[0].items() if key not in ('type', 'priority')}
    RFSearchHook(**settings).init_model(detector)
