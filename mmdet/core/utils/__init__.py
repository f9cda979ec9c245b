"""Helpers without detection knowledge: lists of tensors, and exchange between processes."""

from mmdet.core.utils.dist_utils import (
    DistOptimizerHook,
    all_reduce_dict,
    allreduce_grads,
    reduce_mean,
    sync_random_seed,
)
from mmdet.core.utils.misc import (
    center_of_mass,
    filter_scores_and_topk,
    flip_tensor,
    generate_coordinate,
    mask2ndarray,
    multi_apply,
    select_single_mlvl,
    unmap,
)

__all__ = [
    'DistOptimizerHook',
    'all_reduce_dict',
    'allreduce_grads',
    'center_of_mass',
    'filter_scores_and_topk',
    'flip_tensor',
    'generate_coordinate',
    'mask2ndarray',
    'multi_apply',
    'reduce_mean',
    'select_single_mlvl',
    'sync_random_seed',
    'unmap',
]
