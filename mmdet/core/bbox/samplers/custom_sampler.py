"""Samplers that heed the directive ``ignore_negatives``: for images in which not every object is annotated."""

from typing import Any

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.ohem_sampler import OHEMSampler
from mmdet.core.bbox.samplers.random_sampler import RandomSampler
from mmdet.core.directives import ignores_negatives


class BasicSamplerWithIgnore:
    """Mixin for any sampler: where the image says ``ignore_negatives``, no negative is picked.

    Positives are picked as ever; they do not fill the room that the negatives leave. It goes before the sampler:
    ``class CombinedSamplerWithIgnore(BasicSamplerWithIgnore, CombinedSampler)``.
    """

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        if ignores_negatives(kwargs.get('img_metas')):
            num_expected = 0
        return super()._sample_neg(assign_result, num_expected, **kwargs)


@BBOX_SAMPLERS.register_module()
class RandomSamplerWithIgnore(BasicSamplerWithIgnore, RandomSampler):
    """:class:`RandomSampler` that heeds ``ignore_negatives``."""


@BBOX_SAMPLERS.register_module()
class OHEMSamplerWithIgnore(BasicSamplerWithIgnore, OHEMSampler):
    """:class:`OHEMSampler` that heeds ``ignore_negatives``."""


__all__ = ['BasicSamplerWithIgnore', 'RandomSamplerWithIgnore', 'OHEMSamplerWithIgnore']
