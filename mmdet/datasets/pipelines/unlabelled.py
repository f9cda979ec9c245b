"""The end of the pipeline of a data set that has no annotations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmcv.parallel import DataContainer as DC

from mmdet.core.directives import unlabelled_directives
from mmdet.datasets.pipelines.custom_formatting import AddFieldToImgMetas
from mmdet.datasets.registry import PIPELINES

ANNOTATIONS = ('gt_bboxes', 'gt_labels', 'gt_bboxes_ignore', 'gt_masks', 'gt_extra_labels', 'gt_weights')


@PIPELINES.register_module()
class MarkUnlabelled(AddFieldToImgMetas):
    """Say of every image that comes through this pipeline that nobody has annotated it; goes after ``Collect``.

    The losses of detection are zero for such an image, and no negative of it is learnt: the step sets the directives
    of :func:`mmdet.core.directives.unlabelled_directives`. They need heads ``...WithWeightPerImage`` and
    samplers ``...WithIgnore``. Annotations that the file has nevertheless are emptied, so that none of them
    reaches a loss or the divisor of one.

    Args:
        domain: number of the data set's domain, written into ``img_metas['domain']``; None: nothing is written.
    """

    def __init__(self, domain: int | None = None) -> None:
        self.domain = domain
        fields = unlabelled_directives() | ({} if domain is None else dict(domain=domain))
        super().__init__(list(fields), list(fields.values()))

    def __call__(self, results: dict, img_info: Mapping[str, Any] | None = None) -> dict:
        results = super().__call__(results, img_info)
        for key in ANNOTATIONS:
            if key in results:
                held = results[key]
                results[key] = DC(emptied(held.data), held.stack, held.padding_value, held.cpu_only, held.pad_dims)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(domain={self.domain})'


def emptied(values: Any) -> Any:
    """None of the entries of a tensor (n, ...) or of a structure of masks."""
    return values[:0] if isinstance(values, torch.Tensor) else values[np.zeros(0, np.int64)]
