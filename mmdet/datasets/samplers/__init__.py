"""Orders in which a data set is loaded."""

from .class_aware_sampler import ClassAwareSampler
from .distributed_sampler import DistributedSampler
from .group_sampler import DistributedGroupSampler, GroupSampler
from .infinite_sampler import InfiniteBatchSampler, InfiniteGroupBatchSampler
from .source_sampler import SourceRatioBatchSampler, SourceRepeatBatchSampler

__all__ = [
    'ClassAwareSampler',
    'DistributedGroupSampler',
    'DistributedSampler',
    'GroupSampler',
    'InfiniteBatchSampler',
    'InfiniteGroupBatchSampler',
    'SourceRatioBatchSampler',
    'SourceRepeatBatchSampler',
]
