"""Sampling by chance."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.base_sampler import BaseSampler, negatives, positives
from mmdet.core.bbox.samplers.choice import at_most, random_choice
from mmdet.utils.util_random import ensure_rng


@BBOX_SAMPLERS.register_module()
class RandomSampler(BaseSampler):
    """Random positives and negatives; for the arguments see :class:`BaseSampler`.

    ``rng`` is a generator for subclasses; the choices here are torch's.
    """

    def __init__(
        self, num: int, pos_fraction: float, neg_pos_ub: float = -1, add_gt_as_proposals: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)
        self.rng = ensure_rng(kwargs.get('rng'))

    def random_choice(self, gallery: Tensor | np.ndarray | list, num: int) -> Tensor | np.ndarray:
        """``num`` different elements of ``gallery``; an array where it is no tensor."""
        if isinstance(gallery, Tensor):
            return random_choice(gallery, num)
        return random_choice(torch.as_tensor(gallery, dtype=torch.long), num).numpy()

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return at_most(positives(assign_result), num_expected)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return at_most(negatives(assign_result), num_expected)
