"""Where pretrained weights of a config come from, and where a file goes on a machine without network."""

from pathlib import Path

import torch
from mmcv import Config

from mmdet.utils.checkpoints.weight_sources import torchvision_url


def weights_message(cfg: Config) -> list[str]:
    """What is to be done for the weights that a training begins from; none where nothing is."""
    if cfg.get('load_from') and not Path(cfg.load_from).is_file():
        return [f'load_from: put the checkpoint at {Path(cfg.load_from).resolve()}']
    if cfg.get('load_from'):
        return []
    source = ((cfg.model.get('backbone') or {}).get('init_cfg') or {}).get('checkpoint')
    if source is None:
        return ['the model learns from scratch: no weights are needed']
    if not source.startswith('torchvision://'):
        return [f'the backbone begins from {source}; without network give --weights a local path or torchvision://NAME']
    url = torchvision_url(source.split('://', 1)[1])
    place = Path(torch.hub.get_dir(), 'checkpoints', Path(url).name)
    if place.is_file():
        return [f'the backbone begins from {place}']
    return [f'the backbone begins from {source}, which is fetched; without network put {Path(url).name} at {place}']
