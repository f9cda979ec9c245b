"""Batches divided by the tags of their images."""

import pytest
import torch

from mmdet.utils import split_batch

METAS = [dict(tag='sup', n=0), dict(tag='unsup', n=1), dict(tag='sup', n=2)]


def test_split_batch_reads_the_tags_of_the_images():
    groups = split_batch(torch.arange(3.0)[:, None], METAS, dict(gt_labels=['a', 'b', 'c'], proposals=None))
    assert set(groups) == {'sup', 'unsup'}
    assert groups['sup']['img'].flatten().tolist() == [0, 2]
    assert groups['sup']['gt_labels'] == ['a', 'c'] and groups['unsup']['gt_labels'] == ['b']
    assert [meta['n'] for meta in groups['sup']['img_metas']] == [0, 2]
    assert groups['sup']['proposals'] is None


def test_split_batch_hands_groups_on_without_the_tags():
    kwargs = dict(tag=['x', 'y', 'z'], gt_labels=[1, 2, 3])  # 2.x writes over such an entry, too
    groups = split_batch(torch.zeros(3, 1), METAS, kwargs)
    assert all('tag' not in group for group in groups.values())
    assert set(groups) == {'sup', 'unsup'}
    assert kwargs == dict(tag=['x', 'y', 'z'], gt_labels=[1, 2, 3])


def test_split_batch_names_the_image_without_a_tag():
    with pytest.raises(KeyError, match="b.jpg.*has no 'tag'"):
        split_batch(torch.zeros(2, 1), [dict(tag='sup'), dict(ori_filename='b.jpg')], {})
