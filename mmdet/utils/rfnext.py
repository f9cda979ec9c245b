"""Receptive-field search: rebuilding a detector with the dilations that a search has found."""

import copy
from pathlib import Path

from mmcv import Config
from torch import nn

WRITTEN_BY = (
    "A training with mode='search' writes such files, local_search_config_step<n>.json, to its work folder: "
    '{"structure": {"module.<name of a convolution>": [rows, columns], ...}} with the dilation of each convolution'
)


def rfnext_init_model(detector: nn.Module, cfg: Config) -> None:
    """Let the config's ``RFSearchHook`` change the detector's convolutions before weights are loaded.

    Does nothing for configs without such a hook.

    Raises:
        ValueError: the config asks for more than one such hook, or for fixed dilations without a file; or the file
            lacks a convolution of the detector.
        FileNotFoundError: there is no file of that name.
    """
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if hook.get('type') == 'RFSearchHook']
    if not hooks:
        return
    if len(hooks) > 1:
        raise ValueError(f'one RFSearchHook can rebuild a detector; the config has {len(hooks)}')
    # it draws in mmcv's search operators, which only such configs need
    from mmcv.cnn import RFSearchHook

    # the hook writes to its settings
    settings = {key: copy.deepcopy(value) for key, value in hooks[0].items() if key not in ('type', 'priority')}
    file, mode = settings.get('rfstructure_file'), settings.get('mode', 'search')
    if file is None and mode != 'search':
        raise ValueError(f'RFSearchHook: mode={mode!r} needs an rfstructure_file. {WRITTEN_BY}')
    if file is not None and '://' not in str(file) and not Path(file).is_file():
        raise FileNotFoundError(f'RFSearchHook: there is no rfstructure_file {str(file)!r}. {WRITTEN_BY}')
    try:
        RFSearchHook(**settings).init_model(detector)
    except KeyError as missing:
        raise ValueError(
            f'RFSearchHook: {file} has no {missing.args[0]!r}, which is searched. {WRITTEN_BY}'
        ) from missing
