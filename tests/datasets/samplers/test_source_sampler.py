"""Batches of mixtures: composition, lengths, orders and shares of processes."""

import logging
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from torch.utils.data import DataLoader

from mmdet.datasets.builder import build_dataloader
from mmdet.datasets.samplers import SourceRatioBatchSampler, SourceRepeatBatchSampler
from mmdet.datasets.samplers.source_sampler import compositions
from mmdet.utils.running.resumable_loader import ResumableLoader


class Part:
    """A data set of which samplers see length and groups."""

    def __init__(self, flag, name=None):
        self.flag, self.name = np.asarray(flag, dtype=np.int64), name

    def __len__(self):
        return len(self.flag)


class Joint:
    """Parts one after the other; an image is its number."""

    def __init__(self, *flags):
        self.datasets = [Part(flag, f's{i}') for i, flag in enumerate(flags)]
        self.flag = np.concatenate([part.flag for part in self.datasets])
        self.owner = np.repeat(np.arange(len(flags)), [len(flag) for flag in flags])

    def __len__(self):
        return len(self.flag)

    def __getitem__(self, idx):
        return idx


def counts_of(joint, batches):
    return np.stack([np.bincount(joint.owner[batch], minlength=len(joint.datasets)) for batch in batches])


def test_whole_shares_are_in_every_batch_and_the_largest_source_comes_once():
    joint = Joint([0] * 12, [0] * 2)
    sampler = SourceRatioBatchSampler(joint, 4, [3, 1], seed=0)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 4
    assert_array_equal(counts_of(joint, batches), [[3, 1]] * 4)
    seen = Counter(i for batch in batches for i in batch)
    assert all(seen[i] == 1 for i in range(12)) and seen[12] == seen[13] == 2
    assert 's0 12 (75%, each image 1.00 times), s1 4 (25%, each image 2.00 times)' in sampler.describe()
    assert '4 batches of 4 images in each of 1 process(es)' in sampler.describe()


@pytest.mark.parametrize('ratio', [[1, 1, 1], [5, 3, 2], [0.7, 0.2, 0.1], [1, 0, 2], [97, 2, 1], [0.45, 0.45, 0.1]])
@pytest.mark.parametrize('size', [1, 2, 5])
def test_remainders_are_rounded_without_bias(ratio, size):
    shares = np.asarray(ratio) / np.sum(ratio)
    made = compositions(shares, size, 400)
    assert (made.sum(1) == size).all()
    assert (made >= np.floor(shares * size + 1e-9)).all() and (made <= np.ceil(shares * size - 1e-9)).all()
    drift = made.cumsum(0) - shares * size * np.arange(1, 401)[:, None]
    assert np.abs(drift).max() < 1.5


def test_remainders_by_hand():
    # 2 images at 5 : 3 : 2 are 1.0, 0.6, 0.4 of them
    assert_array_equal(
        compositions(np.array([0.5, 0.3, 0.2]), 2, 5), [[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 1, 0]]
    )


def test_order_depends_on_seed_and_epoch_only():
    joint = Joint([0, 1] * 10, [0, 1] * 4)

    def epoch(seed, number):
        sampler = SourceRatioBatchSampler(joint, 4, [1, 1], seed=seed)
        np.random.rand()  # the process's own generators have no part in it
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(1, 0) == epoch(1, 0)
    assert len({str(epoch(*which)) for which in [(1, 0), (1, 1), (2, 0)]}) == 3


@pytest.mark.parametrize('kind', [dict(source_ratio=[1, 2]), dict(repeat_factors=[1, 2.5])])
def test_processes_share_the_batches_of_a_single_one(kind):
    joint = Joint([0, 1, 1] * 7, [0, 1] * 4)
    cls = SourceRatioBatchSampler if 'source_ratio' in kind else SourceRepeatBatchSampler
    shares = [list(cls(joint, 3, world_size=2, rank=rank, seed=3, **kind)) for rank in range(2)]
    assert len(shares[0]) == len(shares[1]) == len(cls(joint, 3, world_size=2, rank=0, seed=3, **kind))
    if 'source_ratio' in kind:
        alone = list(SourceRatioBatchSampler(joint, 3, world_size=1, rank=0, seed=3, **kind))
        together = [batch for pair in zip(*shares) for batch in pair]
        assert together[: len(alone)] == alone and len(together) - len(alone) in (0, 1)


def test_batches_are_of_one_group_where_sources_have_the_same_shapes():
    joint = Joint([0, 1, 1] * 40, [1, 0, 1] * 9)
    batches = list(SourceRatioBatchSampler(joint, 4, [1, 1], seed=0))
    assert all(len(set(joint.flag[batch])) == 1 for batch in batches)
    seen = Counter(i for batch in batches for i in batch)
    assert min(seen[i] for i in range(120)) >= 0.5 * max(seen[i] for i in range(120))


def test_sources_of_other_shapes_still_show_all_their_images_equally():
    # all of the first is wide; of the second 3 in 4 are not
    joint = Joint([1] * 400, [0, 0, 0, 1] * 100)
    batches = list(SourceRatioBatchSampler(joint, 4, [1, 1], seed=0))
    assert_array_equal(counts_of(joint, batches), [[2, 2]] * 200)
    second = [i for batch in batches for i in batch if i >= 400]
    assert np.mean(joint.flag[second] == 0) == pytest.approx(0.75, abs=0.05)
    pure = np.mean([len(set(joint.flag[batch])) == 1 for batch in batches])
    assert 0.2 < pure < 0.5  # 1 in 4 is the most that there can be of equal shares


def test_sources_with_other_shares_of_shapes_keep_them():
    joint = Joint([0, 1] * 300, ([1] * 9 + [0]) * 60)
    batches = list(SourceRatioBatchSampler(joint, 4, [1, 1], seed=0))
    drawn = np.concatenate(batches)
    for source, share in ((0, 0.5), (1, 0.9)):
        assert joint.flag[drawn[joint.owner[drawn] == source]].mean() == pytest.approx(share, abs=0.04)
    # 0.6 is the most that there can be: half of the batches wide and a tenth not
    assert 0.5 < np.mean([len(set(joint.flag[batch])) == 1 for batch in batches]) < 0.75


def test_a_source_with_ratio_zero_is_left_out():
    joint = Joint([0] * 4, [0] * 100)
    batches = list(SourceRatioBatchSampler(joint, 2, [1, 0], seed=0))
    assert sorted(i for batch in batches for i in batch) == [0, 1, 2, 3]


def test_repeat_factors_give_whole_copies_and_a_changing_part():
    joint = Joint([0, 1] * 4, [0] * 4, [1] * 3)
    sampler = SourceRepeatBatchSampler(joint, 1, [1.25, 2, 0], seed=0)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append(Counter(i for batch in sampler for i in batch))
    for seen in epochs:
        assert sum(seen[i] for i in range(8)) == 10 and all(1 <= seen[i] <= 2 for i in range(8))
        assert all(seen[i] == 2 for i in range(8, 12)) and sum(seen.values()) == 18 == len(sampler)
    assert len({str(sorted(seen.items())) for seen in epochs}) > 1


def test_repeated_batches_are_of_one_group():
    joint = Joint([0, 1, 1], [0, 1])
    batches = list(SourceRepeatBatchSampler(joint, 2, [1, 1], seed=0))
    assert len(batches) == 3 and all(len(set(joint.flag[batch])) == 1 for batch in batches)


def test_endless_batches_are_the_epochs_one_after_the_other():
    joint = Joint([0, 1] * 5, [0] * 3)
    endless = SourceRatioBatchSampler(joint, 2, [1, 1], seed=5, endless=True)
    expected = []
    for epoch in range(3):
        one = SourceRatioBatchSampler(joint, 2, [1, 1], seed=5)
        one.set_epoch(epoch)
        expected += list(one)
    assert list(islice(endless, len(expected))) == expected


@pytest.mark.parametrize('endless', [False, True])
def test_loader_goes_on_where_it_was(endless):
    joint = Joint([0, 1] * 5, [0] * 3)

    def loader():
        batches = SourceRatioBatchSampler(joint, 2, [1, 1], seed=5, endless=endless)
        return ResumableLoader(DataLoader(joint, batch_sampler=batches, collate_fn=list))

    whole = loader()
    batches = list(islice(whole, 8))
    half, rest = loader(), loader()
    given = list(islice(half, 3))
    rest.resume(half.state())
    assert given + list(islice(rest, 5)) == batches


@pytest.mark.parametrize('ratio', [[1], [1, -1], [0, 0], [1, float('nan')], 'ab', [True, 1]])
def test_impossible_ratios_are_errors(ratio):
    with pytest.raises(ValueError, match=r'source_ratio: expected a finite number .* \(s0, s1\)'):
        SourceRatioBatchSampler(Joint([0], [0]), 2, ratio)


def test_images_of_an_empty_source_cannot_be_asked_for():
    with pytest.raises(ValueError, match='data set s1 has no images, but its number is 2'):
        SourceRatioBatchSampler(Joint([0], []), 2, [1, 2])


def test_loader_takes_one_way_to_sample_and_logs_the_length_of_an_epoch(caplog):
    joint = Joint([0] * 4, [0] * 2)
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level('INFO', 'mmdet'):
        loader = build_dataloader(joint, 3, 0, dist=False, seed=0, source_ratio=[2, 1])
    assert 'source_ratio=[2.0, 1.0]: an epoch has 2 batches of 3 images' in caplog.text
    assert len(loader) == 2 and isinstance(loader.batch_sampler, SourceRatioBatchSampler)
    with pytest.raises(ValueError, match='source_ratio and repeat_factors are ways to sample that exclude each other'):
        build_dataloader(joint, 3, 0, dist=False, source_ratio=[2, 1], repeat_factors=[1, 1])
    with pytest.raises(ValueError, match='source_ratio draws images at random'):
        build_dataloader(joint, 3, 0, dist=False, shuffle=False, source_ratio=[2, 1])
