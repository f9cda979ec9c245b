"""The look at the data before the first step."""

import logging

from mmcv import Config
from mmcv.runner import get_dist_info
from mmcv.utils import print_log
from torch import nn

from mmdet.datasets.audit.audit import audit_dataset
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.utils import head_num_classes
from mmdet.models.utils.directive_report import describe_readers, directive_readers

# keys of `cfg.audit`
AUDIT_KEYS = ('enable', 'strict', 'sample_files')


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
