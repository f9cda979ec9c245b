"""Annotations in shared memory read like a list, also in other processes."""

import json
import pickle

import numpy as np
import pytest
import torch

from mmdet.datasets import CocoDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.memory.shared_list import SharedList


def test_reads_like_a_list():
    items = [dict(a=1), 'b', None, [3, 4]]
    shared = SharedList(items)
    assert len(shared) == 4 and list(shared) == items and shared == items and shared != items[:3]
    assert shared[1] == 'b' and shared[-1] == [3, 4] and shared[1:3] == ['b', None] and shared[::-2] == [[3, 4], 'b']
    assert (
        dict(a=1) in shared and shared.index('b') == 1 and shared + [5] == [*items, 5] and [5] + shared == [5, *items]
    )
    for index in (4, -5):
        with pytest.raises(IndexError, match=f'index {index} of 4'):
            shared[index]
    shared[3].append(5)
    assert shared[3] == [3, 4]
    assert list(SharedList([])) == [] and not SharedList([])
    assert shared._block.is_shared()


@pytest.fixture
def coco_file(tmp_path):
    images = [dict(id=i, width=64, height=48, file_name=f'{i}.jpg', note=i * i) for i in range(4)]
    anns = [
        dict(id=i + 1, image_id=i % 3, category_id=1 + i % 2, bbox=[i, 1, 20, 9], area=180, iscrowd=0) for i in range(7)
    ]
    content = dict(images=images, annotations=anns, categories=[dict(id=1, name='a'), dict(id=2, name='b')])
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    return str(tmp_path / 'ann.json')


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_coco_data_set_with_shared_annotations(coco_file):
    plain, shared = (CocoDataset(coco_file, [], classes=('b', 'a'), share_annotations=on) for on in (False, True))
    assert shared._coco is None and plain._coco is not None
    assert len(shared) == len(plain) == 3 and list(shared.data_infos) == plain.data_infos
    for i in range(3):
        assert same(shared.get_ann_info(i), plain.get_ann_info(i)) and shared.get_cat_ids(i) == plain.get_cat_ids(i)
    assert shared.get_cat2imgs() == plain.get_cat2imgs() and repr(shared) == repr(plain)
    assert shared._coco is None  # nothing of that needs the file
    results = [[np.zeros((0, 5), np.float32)] * 2 for _ in range(3)]
    assert shared.evaluate(results, logger='silent') == plain.evaluate(results, logger='silent')
    assert shared.coco.imgs.keys() == plain.coco.imgs.keys()


def test_a_subclass_that_reads_the_file_keeps_it(coco_file):
    class Own(CocoDataset):
        def get_ann_info(self, idx):
            return self.coco.img_ann_map[self.data_infos[idx]['id']]

    dataset = Own(coco_file, [], classes=('b', 'a'), share_annotations=True)
    assert dataset._coco is not None and isinstance(dataset.data_infos, SharedList)
    assert len(dataset.get_ann_info(0)) == 3


def note_of(results: dict) -> int:
    return results['img_info']['note'] + int(results['ann_info']['labels'].sum())


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_loading_processes_read_it(coco_file, start):
    plain, shared = (
        CocoDataset(coco_file, [note_of], classes=('b', 'a'), share_annotations=on) for on in (False, True)
    )
    loader = torch.utils.data.DataLoader(shared, batch_size=1, num_workers=1, multiprocessing_context=start)
    assert [int(batch) for batch in loader] == [plain[i] for i in range(3)]


@pytest.mark.filterwarnings('ignore:.*filter_empty_gt')
def test_custom_data_set_with_proposals(tmp_path):
    infos = [
        dict(filename=f'{i}.png', width=40, height=40 + i, ann=dict(bboxes=np.zeros((0, 4)), labels=[]))
        for i in range(3)
    ]
    for name, content in (('ann', infos), ('proposals', [np.full((1, 4), i) for i in range(3)])):
        (tmp_path / f'{name}.pkl').write_bytes(pickle.dumps(content))
    dataset = CustomDataset(
        str(tmp_path / 'ann.pkl'),
        [],
        classes=('a',),
        proposal_file=str(tmp_path / 'proposals.pkl'),
        share_annotations=True,
    )
    assert [info['height'] for info in dataset.data_infos] == [40, 41, 42]
    assert dataset.proposals[2].tolist() == [[2, 2, 2, 2]]
