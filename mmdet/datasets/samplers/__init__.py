"""Orders in which a data set is loaded."""

from mmdet.datasets.samplers.class_aware_sampler import ClassAwareSampler
from mmdet.datasets.samplers.distributed_sampler import DistributedSampler
from mmdet.datasets.samplers.group_sampler import DistributedGroupSampler, GroupSampler
from mmdet.datasets.samplers.infinite_sampler import InfiniteBatchSampler, InfiniteGroupBatchSampler
from mmdet.datasets.samplers.source_sampler import SourceRatioBatchSampler, SourceRepeatBatchSampler

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
