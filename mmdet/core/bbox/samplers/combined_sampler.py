"""Positives of one sampler, negatives of another."""

from typing import Any

from torch import Tensor

from mmdet.core.bbox.builder import BBOX_SAMPLERS, build_sampler
from mmdet.core.bbox.samplers.base_sampler import BaseSampler


@BBOX_SAMPLERS.register_module()
class CombinedSampler(BaseSampler):
    """Positives of one sampler, negatives of another.

    Args:
        pos_sampler: config of the sampler of positives.
        neg_sampler: config of the sampler of negatives.
        **kwargs: arguments of :class:`BaseSampler`, handed to both as well.
    """

    def __init__(self, pos_sampler: dict, neg_sampler: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pos_sampler = build_sampler(pos_sampler, **kwargs)
        self.neg_sampler = build_sampler(neg_sampler, **kwargs)

    def _sample_pos(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.pos_sampler._sample_pos(*args, **kwargs)

    def _sample_neg(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.neg_sampler._sample_neg(*args, **kwargs)
