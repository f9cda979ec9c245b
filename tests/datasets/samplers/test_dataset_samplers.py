from itertools import islice

import numpy as np
import pytest

from mmdet.datasets.samplers import (
    ClassAwareSampler,
    DistributedGroupSampler,
    DistributedSampler,
    GroupSampler,
    InfiniteBatchSampler,
    InfiniteGroupBatchSampler,
)


class Groups:
    """A data set of which samplers see length, groups and classes."""

    def __init__(self, flag, cat2imgs=None):
        self.flag, self.cat2imgs = np.asarray(flag), cat2imgs

    def __len__(self):
        return len(self.flag)

    def get_cat2imgs(self):
        return self.cat2imgs


FLAGS = [0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0]  # four of group 0, seven of group 1
DATA = Groups(FLAGS)


def batches(order, size):
    return np.asarray(order).reshape(-1, size)


def one_group_each(order, size):
    groups = np.asarray(FLAGS)[batches(order, size)]
    return bool((groups == groups[:, :1]).all())


@pytest.mark.parametrize('size', [1, 2, 3])
def test_group_sampler_gives_whole_batches_of_one_group(size):
    order = list(GroupSampler(DATA, size))
    assert len(order) == len(GroupSampler(DATA, size)) == {1: 11, 2: 12, 3: 15}[size]
    assert set(order) == set(range(11))
    assert one_group_each(order, size)


def test_group_sampler_follows_numpys_seed():
    def draw(seed):
        np.random.seed(seed)
        return list(GroupSampler(DATA, 2))

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


@pytest.mark.parametrize(('size', 'replicas'), [(1, 2), (2, 2), (2, 3)])
def test_shares_of_groups_are_disjoint_and_cover(size, replicas):
    shares = [list(DistributedGroupSampler(DATA, size, replicas, rank, seed=4)) for rank in range(replicas)]
    assert len({len(share) for share in shares}) == 1
    together = [i for share in shares for i in share]
    step = size * replicas
    assert len(together) == -(-4 // step) * step + -(-7 // step) * step
    assert set(together) == set(range(11))
    assert all(one_group_each(share, size) for share in shares)


def test_shares_are_disjoint_where_nothing_is_filled_up():
    data = Groups([0] * 4 + [1] * 8)
    shares = [set(DistributedGroupSampler(data, 2, 2, rank)) for rank in range(2)]
    assert shares[0] | shares[1] == set(range(12))
    assert shares[0] & shares[1] == set()


def test_an_epoch_decides_the_order():
    sampler = DistributedGroupSampler(DATA, 2, 2, 0, seed=1)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    other = DistributedGroupSampler(DATA, 2, 2, 0, seed=2)
    assert list(other) == list(sampler)  # seed and epoch are added


def test_a_group_smaller_than_a_batch_is_repeated():
    order = list(DistributedGroupSampler(Groups([0, 0, 0]), 4, 2, 0))
    assert sorted(set(order)) == [0, 1, 2]
    assert len(order) == 4


def test_distributed_sampler_takes_every_nth():
    assert list(DistributedSampler(DATA, 3, 1, shuffle=False)) == [1, 4, 7, 10]
    assert list(DistributedSampler(DATA, 3, 2, shuffle=False)) == [2, 5, 8, 0]
    shares = [list(DistributedSampler(DATA, 3, rank, seed=5)) for rank in range(3)]
    assert set().union(*shares) == set(range(11))
    assert shares == [list(DistributedSampler(DATA, 3, rank, seed=5)) for rank in range(3)]


def test_more_processes_than_images():
    assert [list(DistributedSampler(Groups([0, 0]), 5, rank, shuffle=False)) for rank in range(5)] == [
        [0], [1], [0], [1], [0],
    ]  # fmt: skip


def test_endless_batches_go_round():
    stream = iter(InfiniteBatchSampler(DATA, 4, 2, 1, shuffle=False))
    assert [next(stream) for _ in range(3)] == [[1, 3, 5, 7], [9, 0, 2, 4], [6, 8, 10, 1]]
    with pytest.raises(ValueError, match='nothing to sample'):
        InfiniteBatchSampler(Groups([]), 1)


def test_endless_batches_of_one_group():
    sampler = InfiniteGroupBatchSampler(DATA, 3, 1, 0, seed=3)
    first = [index for batch in islice(iter(sampler), 50) for index in batch]
    assert one_group_each(first, 3)
    assert set(first) == set(range(11))
    again = [index for batch in islice(iter(InfiniteGroupBatchSampler(DATA, 3, 1, 0, seed=3)), 50) for index in batch]
    assert first == again
    later = next(iter(sampler))  # goes on, does not start anew
    assert len(later) == 3


def test_endless_shares_are_disjoint_in_each_pass():
    data = Groups([0] * 8)
    shares = [next(iter(InfiniteBatchSampler(data, 4, 2, rank, seed=1))) for rank in range(2)]
    assert sorted(shares[0] + shares[1]) == list(range(8))


def test_classes_come_equally_often():
    data = Groups([0] * 12, {0: list(range(11)), 1: [], 2: [11]})
    order = list(ClassAwareSampler(data, 2, 1, 0, seed=0))
    assert len(order) == 12
    assert order.count(11) == 6  # every other image is of the rare class
    shares = [list(ClassAwareSampler(data, 2, 2, rank, seed=0)) for rank in range(2)]
    assert shares[0] + shares[1] == order
    with pytest.raises(ValueError, match='num_sample_class: expected a whole number >= 1, got 0'):
        ClassAwareSampler(data, num_sample_class=0)
    with pytest.raises(ValueError, match='no class has an image'):
        ClassAwareSampler(Groups([0], {0: []}))


def test_a_data_set_without_groups_is_refused():
    with pytest.raises(AttributeError, match='list has no attribute "flag"'):
        GroupSampler([1, 2])
