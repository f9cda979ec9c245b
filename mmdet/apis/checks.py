"""The look at the data before the first step."""

import logging

from mmcv import Config
from torch import nn
from torch.utils.data import Dataset

from mmdet.datasets.audit import audit_dataset
from mmdet.datasets.utils import head_num_classes

# keys of `cfg.audit`
AUDIT_KEYS = ('enable', 'strict', 'sample_files')


def audit(dataset: Dataset, model: nn.Module, cfg: Config, logger: logging.Logger) -> None:
    """Check a data set against itself, its files and the model, unless ``cfg.audit.enable`` is False.

    Raises:
        ValueError: ``cfg.audit`` has an unknown key, or the audit has found something (``AuditError``).
    """
    settings = dict(cfg.get('audit') or {})
    unknown = set(settings) - set(AUDIT_KEYS)
    if unknown:
        raise ValueError(f'audit: unknown key {sorted(unknown)[0]!r}; accepted: {", ".join(AUDIT_KEYS)}')
    if settings.pop('enable', True):
        audit_dataset(dataset, num_classes=head_num_classes(model) or None, logger=logger, **settings)
