"""Where weights come from: local files, ``torchvision://``, ``http(s)://``; also for mmcv's ``Pretrained``."""

import io
import os
import re
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
import torch.distributed as dist
from mmcv.fileio import FileClient
from mmcv.runner.checkpoint import (
    CheckpointLoader,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
)
from mmcv.runner.dist_utils import get_dist_info
from torchvision import models

from mmdet.utils.checkpoints.checkpoint_io import MapLocation, read_file
from mmdet.utils.errors import ReportedError
from mmdet.utils.registry import did_you_mean

HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,})\.')
GONE_HOSTS = {
    'open-mmlab': 'download.openmmlab.com',
    'openmmlab': 'download.openmmlab.com',
    'mmcls': 'download.openmmlab.com',
    'pavi': 'pavi',
}


def cached_file(url: str) -> Path:
    """Where the file of ``url`` lies once it has been fetched: torch hub's folder of checkpoints."""
    return Path(torch.hub.get_dir(), 'checkpoints', os.path.basename(urlparse(url).path))


class DownloadError(ReportedError, ConnectionError):
    """Weights cannot be had from where a config names them."""


def fetch(url: str) -> Path:
    """The local file of ``url``, downloaded by rank 0 where the cache lacks it.

    Raises:
        DownloadError: it is not cached and cannot be downloaded.
    """
    path, (rank, world_size) = cached_file(url), get_dist_info()
    error = None
    if rank == 0 and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = HASH_IN_NAME.search(path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=found[1] if found else None)
        except (URLError, OSError, RuntimeError) as reason:
            error = reason
    if world_size > 1:
        dist.barrier()
    if not path.is_file():
        raise DownloadError(
            f'{url} cannot be downloaded ({error or "rank 0 could not"}); without network, put the file at {path}, '
            'give a local path instead (load_from, or checkpoint in init_cfg), or train from scratch (init_cfg=None)'
        ) from error
    return path


def torchvision_url(name: str) -> str:
    """URL of weights in torchvision's registry.

    Args:
        name: ``'resnet50'`` (its first weights, which mmdetection 2.x configs mean), ``'resnet50.imagenet1k_v2'`` or
            ``'ResNet50_Weights.IMAGENET1K_V2'``.

    Raises:
        KeyError: torchvision has no such model or weights.
    """
    model, _, version = name.replace('_Weights', '').lower().partition('.')
    known = models.list_models()
    if model not in known:
        raise KeyError(f'torchvision has no model {model!r}{did_you_mean(model, known)}')
    weights = models.get_model_weights(model)
    by_version = {member.name.lower(): member for member in weights}
    if version == 'default':
        return weights.DEFAULT.url
    if version and version not in by_version:
        raise KeyError(f'torchvision has no weights {version!r} of {model}; it has {", ".join(by_version)}')
    if not by_version:
        raise KeyError(f'torchvision has no weights of {model}')
    # members are listed from the oldest on
    return (by_version[version] if version else next(iter(by_version.values()))).url


def load_from_local(filename: str, map_location: MapLocation = None) -> Any:
    """A path on this machine."""
    return read_file(filename, map_location)


def load_from_http(filename: str, map_location: MapLocation = None) -> Any:
    """``http://`` and ``https://``, by way of torch hub's cache."""
    return read_file(fetch(filename), map_location)


def load_from_torchvision(filename: str, map_location: MapLocation = None) -> Any:
    """``torchvision://NAME`` and its old spelling ``modelzoo://NAME``."""
    return read_file(fetch(torchvision_url(filename.split('://', 1)[1])), map_location)


def load_from_storage(filename: str, map_location: MapLocation = None) -> Any:
    """``s3://...`` through mmcv's petrel client."""
    return read_file(io.BytesIO(FileClient(backend='petrel').get(filename)), map_location)


def load_from_gone_host(filename: str, map_location: MapLocation = None) -> Any:
    """Schemes whose host is gone: a file that is still in the cache is used.

    Raises:
        DownloadError: the cache has no such file.
    """
    scheme, name = filename.split('://', 1)
    path = _cached_gone_file(scheme, name)
    if path is not None and path.is_file():
        return read_file(path, map_location)
    where = f'put its file at {path}, or ' if path is not None else ''
    raise DownloadError(
        f'{filename}: the host of {scheme}:// weights ({GONE_HOSTS[scheme]}) is gone. If you have the file, '
        f'{where}give its local path instead (load_from, or checkpoint in init_cfg). Otherwise use '
        "torchvision://resnet50 with style='pytorch' and torchvision's image normalisation, or train from "
        'scratch (init_cfg=None)'
    )


def _cached_gone_file(scheme: str, name: str) -> Path | None:
    """Where torch hub would have put the file; None for names that mmcv's tables do not have."""
    if scheme == 'pavi':
        return None
    table = get_mmcls_models() if scheme == 'mmcls' else get_external_models()
    url = table.get(get_deprecated_model_names().get(name, name))
    return cached_file(url) if url else None


SCHEMES = {
    '': load_from_local,
    'http://': load_from_http,
    'https://': load_from_http,
    'torchvision://': load_from_torchvision,
    'modelzoo://': load_from_torchvision,
    r'(\S+\:)?s3://': load_from_storage,
    **{f'{scheme}://': load_from_gone_host for scheme in GONE_HOSTS},
}


def register_schemes() -> None:
    """Put these loaders in the place of mmcv's, so that ``init_cfg=dict(type='Pretrained')`` reads as safely."""
    for prefix, loader in SCHEMES.items():
        CheckpointLoader.register_scheme(prefix, loader, force=True)


register_schemes()
