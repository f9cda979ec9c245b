"""The look at the data before the first step."""

import inspect
import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmcv import Config
from mmcv.parallel import DataContainer
from mmcv.runner import get_dist_info
from mmcv.utils import print_log
from torch import nn

from mmdet.datasets.audit.audit import audit_dataset
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.utils import head_num_classes
from mmdet.models.utils.directive_report import describe_readers, directive_readers
from mmdet.utils.errors import CALLS, ReportedError
from mmdet.utils.running.rng import preserved_rng

STEP = re.compile(r'\[in pipeline step \d')  # what Compose adds to an error

# keys of `cfg.audit`
AUDIT_KEYS = ('enable', 'strict', 'sample_files')


class SampleError(ReportedError, ValueError):
    """A data set does not give what a detector needs."""


def audit(
    dataset: DetectionDataset, model: nn.Module, cfg: Config, logger: logging.Logger, training: bool = False
) -> None:
    """Check a data set against itself, its files and the model, unless ``cfg.audit.enable`` is False.

    Before a training it also says which parts of the model read what images say, and stops on a key that none reads.

    Raises:
        ValueError: ``cfg.audit`` has an unknown key, or the audit has found something (``AuditError``).
    """
    settings = dict(cfg.get('audit') or {})
    unknown = set(settings) - set(AUDIT_KEYS)
    if unknown:
        raise ValueError(f'audit: unknown key {sorted(unknown)[0]!r}; accepted: {", ".join(AUDIT_KEYS)}')
    if settings.pop('enable', True):
        if training:
            readers = directive_readers(model)
            settings['directive_keys'] = {key for reader in readers for key in reader.keys}
            if get_dist_info()[0] == 0:
                print_log(describe_readers(readers), logger=logger)
        audit_dataset(dataset, num_classes=head_num_classes(model) or None, logger=logger, **settings)


def check_sample(dataset: Any, model: nn.Module, key: str, training: bool = False) -> None:
    """Load one image of a data set as a run will, and look whether the model is given what it needs.

    Args:
        dataset: with pipelines, in training or test mode.
        model: detector without wrapper.
        key: of the config, which errors begin with.
        training: the data are those of a training, and have annotations.

    Raises:
        SampleError: an image cannot be loaded, or its sample lacks something.
    """
    if not len(dataset):
        return
    try:
        with preserved_rng():
            sample = dataset[0]
    except (ReportedError, OSError):
        raise
    except Exception as error:
        if not STEP.search(str(error)):
            raise
        raise SampleError(f'{key}: {_step_text(error)} {CALLS}') from error
    needed = ['img', 'img_metas', *(_needed_annotations(model) if training else ())]
    missing = [name for name in needed if not isinstance(sample, Mapping) or name not in sample]
    if missing:
        raise SampleError(
            f'{key}: the pipeline gives no {missing[0]!r}, which {type(model).__name__} needs: its last step must be '
            f"dict(type='Collect', keys={needed[:1] + needed[2:]})"
        )
    metas = sample['img_metas'].data if training and isinstance(sample['img_metas'], DataContainer) else {}
    if isinstance(metas, dict) and metas and not {'img_shape', 'pad_shape'} <= metas.keys():
        raise SampleError(f"{key}: Collect's meta_keys must name 'img_shape' and 'pad_shape'; they name {list(metas)}")
    bare = [name for name in needed if training and isinstance(sample[name], np.ndarray)]
    if bare:
        raise SampleError(
            f'{key}: the pipeline gives {bare[0]!r} as a plain array; it needs the step '
            "dict(type='DefaultFormatBundle') before Collect"
        )


def _step_text(error: Exception) -> str:
    """What the error of a step says; of a step at a wrong place what it lacks."""
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    name, _, place = text.partition(' [')
    if isinstance(error, KeyError) and name.isidentifier():
        return f'a step needs {name!r}, which no step before it gives [{place}'
    if "'DataContainer' object" in text:
        return f'a step behind DefaultFormatBundle must come before it [{place}'
    return text if isinstance(error, (KeyError, ValueError)) else f'{type(error).__name__}: {text}'


def _needed_annotations(model: nn.Module) -> list[str]:
    """Names of annotations without which a detector's ``forward_train`` fails."""
    forward = getattr(model, 'forward_train', None)
    if forward is None:
        return []
    params = inspect.signature(forward).parameters.values()
    needed = [p.name for p in params if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [name for name in needed if name not in ('img', 'img_metas')]
    return needed + ['gt_masks'] * bool('gt_masks' not in needed and getattr(model, 'with_mask', False))
