import math

import numpy as np
import pytest
from coco_files import coco_content
from numpy.testing import assert_array_equal

from mmdet.datasets.builder import PIPELINES, build_dataset
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.dataset_wrappers import (
    ClassBalancedDataset,
    ConcatDataset,
    MultiImageMixDataset,
    RepeatDataset,
)


class Numbers:
    """A data set that gives its own indices; ``cats[i]`` are the categories of image i."""

    CLASSES = ('a', 'b')
    PALETTE = None

    def __init__(self, cats, first=0):
        self.cats, self.first = cats, first
        self.flag = np.arange(len(cats)) % 2
        self.data_infos = list(range(first, first + len(cats)))

    def __len__(self):
        return len(self.cats)

    def __getitem__(self, idx):
        return dict(value=self.first + idx)

    def get_cat_ids(self, idx):
        return self.cats[idx]

    def get_ann_info(self, idx):
        return dict(number=self.first + idx)

    def evaluate(self, results, logger=None, scale=1):
        right = [self.get_ann_info(i)['number'] == result for i, result in enumerate(results)]
        return dict(share=scale * sum(right) / len(self.data_infos))


def test_concat_finds_images():
    joint = ConcatDataset([Numbers([[0], [1]]), Numbers([[1, 1]], first=10)])
    assert [joint[i]['value'] for i in range(3)] == [0, 1, 10]
    assert joint[-1]['value'] == 10
    assert joint.get_cat_ids(2) == [1, 1]
    assert joint.get_ann_info(-1) == dict(number=10)
    assert_array_equal(joint.flag, [0, 1, 0])
    with pytest.raises(IndexError, match='index 3 is outside the 3 images'):
        joint.get_cat_ids(3)


def test_concat_evaluates_each_alone():
    joint = ConcatDataset([Numbers([[0], [1]]), Numbers([[1]], first=10)])
    assert joint.evaluate([0, 9, 10], logger='silent', scale=2) == {'0_share': 1.0, '1_share': 2.0}
    with pytest.raises(ValueError, match='2 results for 3 images'):
        joint.evaluate([0, 1])


def test_concat_evaluates_together_without_changing_its_parts():
    first = Numbers([[0], [1]])
    joint = ConcatDataset([first, Numbers([[1], [1]], first=10)], separate_eval=False)
    assert joint.evaluate([0, 9, 10, 11], logger='silent') == {'share': 0.75}
    assert first.data_infos == [0, 1]
    assert first.get_ann_info(1) == dict(number=1)


def test_concat_refuses_what_cannot_be_evaluated_together(write_coco):
    coco = CocoDataset(write_coco(coco_content([[(5, 0, 0, 9, 9)]])), [], classes=('cat',))
    with pytest.raises(NotImplementedError, match='COCO metrics need one annotation file'):
        ConcatDataset([coco, coco], separate_eval=False)
    with pytest.raises(NotImplementedError, match='must be of one class, got Numbers, OtherNumbers'):
        ConcatDataset([Numbers([[0]]), type('OtherNumbers', (Numbers,), {})([[0]])], separate_eval=False)


def test_repeat():
    repeated = RepeatDataset(Numbers([[0], [1]]), 3)
    assert [repeated[i]['value'] for i in range(6)] == [0, 1] * 3
    assert_array_equal(repeated.flag, [0, 1] * 3)
    assert repeated.get_cat_ids(5) == [1]
    with pytest.raises(IndexError, match=r'outside the 6 images \(3 x 2\)'):
        repeated[6]


def test_repeat_factors_by_hand():
    # category 0 in 4 of 4 images, category 1 in 1 of 4: r(1) = sqrt(0.5 / 0.25)
    dataset = Numbers([[0], [0, 0], [0, 1], [0]])
    balanced = ClassBalancedDataset(dataset, oversample_thr=0.5)
    assert balanced._get_repeat_factors(dataset, 0.5) == [1, 1, math.sqrt(2), 1]
    assert balanced.repeat_indices == [0, 1, 2, 2, 3]
    assert_array_equal(balanced.flag, [0, 1, 0, 0, 1])
    assert balanced[3]['value'] == 2
    assert balanced.get_cat_ids(3) == [0, 1]
    assert balanced.get_ann_info(4) == dict(number=3)


def test_images_without_objects_may_be_rare():
    dataset = Numbers([[0], [0], [0], []])
    assert ClassBalancedDataset(dataset, 1.0).repeat_indices == [0, 0, 1, 1, 2, 2, 3]  # r(0) = sqrt(4 / 3)
    assert ClassBalancedDataset(dataset, 1.0, filter_empty_gt=False).repeat_indices == [0, 0, 1, 1, 2, 2, 3, 3]


class AddNext:
    """Adds the value of the next image; gives None as often as ``refusals`` says."""

    def __init__(self, refusals=0):
        self.refusals = refusals

    def get_indexes(self, dataset):
        return 1

    def __call__(self, results):
        self.refusals -= 1
        results['value'] += results['mix_results'][0]['value']
        return None if self.refusals >= 0 else results


@pytest.fixture
def add_next():
    PIPELINES.register_module(module=AddNext, force=True)
    yield 'AddNext'
    del PIPELINES.module_dict['AddNext']


def test_mix_hands_over_other_images(add_next):
    mixed = MultiImageMixDataset(Numbers([[0], [1]], first=5), [dict(type=add_next, refusals=2)] * 2)
    assert mixed[0] == dict(value=5 + 6 + 6)
    mixed.update_skip_type_keys([add_next])
    assert mixed[0] == dict(value=5)


def test_mix_gives_up(add_next):
    mixed = MultiImageMixDataset(Numbers([[0], [1]]), [dict(type=add_next, refusals=9)], max_refetch=3)
    with pytest.raises(RuntimeError, match='AddNext of MultiImageMixDataset gave no result in 3 tries'):
        mixed[0]
    with pytest.raises(RuntimeError, match='dynamic_scale is no longer supported'):
        MultiImageMixDataset(Numbers([[0]]), [], dynamic_scale=(1, 1))
    with pytest.raises(TypeError, match='expected dicts, got int'):
        MultiImageMixDataset(Numbers([[0]]), [3])


def test_mix_refuses_images_that_are_collected_already(add_next, monkeypatch):
    mixed = MultiImageMixDataset(Numbers([[0], [1]]), [dict(type=add_next)])
    monkeypatch.setattr(Numbers, '__getitem__', lambda self, idx: dict(value=idx, img_metas={}))
    with pytest.raises(ValueError, match='AddNext: the images are collected already; .* AddDirectives'):
        mixed[0]


def test_class_balance_over_joined_files_counts_labels_and_not_the_files_own_ids(write_coco):
    # cat is 5 in the first file and 7 in the second, where 5 is a class that is not trained
    first = write_coco(coco_content([[(5, 0, 0, 9, 9)]] * 8), 'first.json')
    other = [dict(id=5, name='tree'), dict(id=7, name='cat'), dict(id=9, name='dog')]
    boxes = [[(7, 0, 0, 9, 9), (5, 0, 0, 9, 9)], [(9, 0, 0, 9, 9)]]
    second = write_coco(coco_content(boxes, categories=other), 'second.json')
    cfg = dict(type='CocoDataset', pipeline=[], classes=('cat', 'dog'))
    joined = build_dataset([dict(cfg, ann_file=first), dict(cfg, ann_file=second)])
    # dog is in 1 of 10 images: sqrt(0.9 / 0.1) = 3 times; cat in 9 of 10, once
    assert ClassBalancedDataset(joined, 0.9).repeat_indices == [*range(9), 9, 9, 9]


def test_size_of_images_changes_through_all_wrappers(write_coco):
    path = write_coco(coco_content([[(5, 0, 0, 9, 9)]] * 2))
    cfg = dict(type='CocoDataset', classes=('cat',), ann_file=path)
    resize = dict(type='Resize', img_scale=(64, 48))
    parts = [dict(cfg, pipeline=[resize]), dict(cfg, pipeline=[resize])]
    repeated = build_dataset(dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=parts)))
    repeated.update_dynamic_scale((96, 32))
    assert [part.pipeline.transforms[0].img_scale for part in repeated.dataset.datasets] == [[(96, 32)]] * 2
    mixed = MultiImageMixDataset(build_dataset(dict(cfg, pipeline=[])), [resize])
    mixed.update_dynamic_scale((32, 32))
    assert mixed.pipeline[0].img_scale == [(32, 32)]
    with pytest.raises(ValueError, match='CocoDataset: there is no Resize'):
        build_dataset(dict(cfg, pipeline=[])).update_dynamic_scale((32, 32))
