import random

import cv2
import numpy as np
import pytest
import torch
from coco_files import coco_content

from mmdet.datasets import dataset_wrappers as wrappers
from mmdet.datasets import samplers
from mmdet.datasets.builder import build_dataloader, build_dataset, worker_init_fn
from mmdet.datasets.my_coco import MyCocoDataset


@pytest.fixture
def cfg(write_coco):
    path = write_coco(coco_content([[(5, 0, 0, 9, 9)], [(7, 0, 0, 9, 9)], [(7, 0, 0, 9, 9)]]))
    return dict(type='CocoDataset', ann_file=path, pipeline=[get_id], classes=('cat', 'dog'))


def get_id(results):
    return results['img_info']['id']


def test_wrappers_are_nested_and_the_config_stays(cfg):
    nested = dict(
        type='RepeatDataset',
        times=2,
        dataset=dict(type='ClassBalancedDataset', oversample_thr=1.0, filter_empty_gt=False, dataset=cfg),
    )
    before = repr(nested)
    dataset = build_dataset(nested, dict(test_mode=True))
    assert isinstance(dataset, wrappers.RepeatDataset)
    assert isinstance(dataset.dataset, wrappers.ClassBalancedDataset)
    assert dataset.dataset.dataset.test_mode
    assert len(dataset) == 2 * 6  # every image twice: r = sqrt(1 / (1 / 3)), sqrt(1 / (2 / 3))
    assert repr(nested) == before


def test_lists_make_concatenations(cfg):
    assert len(build_dataset([cfg, cfg])) == 6
    lists = dict(cfg, ann_file=[cfg['ann_file']] * 2, img_prefix=['a', 'b'], separate_eval=True)
    joint = build_dataset(lists)
    assert [part.img_prefix for part in joint.datasets] == ['a', 'b']
    explicit = build_dataset(dict(type='ConcatDataset', datasets=[cfg, lists]))
    assert [len(part) for part in explicit.datasets] == [3, 6]
    with pytest.raises(ValueError, match='img_prefix has 1 entries but ann_file has 2'):
        build_dataset(dict(lists, img_prefix=['a']))
    with pytest.raises(NotImplementedError, match='separate_eval=False'):
        build_dataset(dict(lists, separate_eval=False))


def test_unknown_arguments_are_named(cfg):
    with pytest.raises(TypeError, match="does not take 'ann_flie'; did you mean 'ann_file'"):
        build_dataset(dict(cfg, ann_flie='x'))


@pytest.mark.parametrize(
    ('kwargs', 'sampler'),
    [
        (dict(dist=False), samplers.GroupSampler),
        (dict(dist=False, shuffle=False), torch.utils.data.SequentialSampler),
        (dict(dist=True), samplers.DistributedGroupSampler),
        (dict(dist=True, shuffle=False), samplers.DistributedSampler),
        (dict(dist=True, class_aware_sampler=dict(num_sample_class=1)), samplers.ClassAwareSampler),
    ],
)
def test_sampler_of_an_epoch(cfg, kwargs, sampler):
    loader = build_dataloader(build_dataset(cfg), 2, 0, seed=0, persistent_workers=True, **kwargs)
    assert type(loader.sampler) is sampler
    assert loader.batch_size == 2


@pytest.mark.parametrize(
    ('shuffle', 'sampler'), [(True, samplers.InfiniteGroupBatchSampler), (False, samplers.InfiniteBatchSampler)]
)
def test_sampler_without_end(cfg, shuffle, sampler):
    loader = build_dataloader(
        build_dataset(cfg), 2, 0, num_gpus=2, dist=False, shuffle=shuffle, seed=0, runner_type='IterBasedRunner'
    )
    assert type(loader.batch_sampler) is sampler
    assert loader.batch_sampler.batch_size == 4


def test_batches_of_several_devices(cfg):
    loader = build_dataloader(build_dataset(cfg), 1, 0, num_gpus=3, dist=False, shuffle=False)
    assert [batch.tolist() for batch in loader] == [[1, 2, 3]]


def test_persistent_workers_are_seeded(cfg):
    loader = build_dataloader(build_dataset(cfg), 3, 1, dist=False, seed=1, shuffle=False, persistent_workers=True)
    assert loader.persistent_workers
    assert [batch.tolist() for batch in loader] == [[1, 2, 3]]


def test_seed_of_a_loading_process():
    worker_init_fn(worker_id=1, num_workers=4, rank=2, seed=3)
    got = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(12), np.random.seed(12), torch.manual_seed(12)
    assert got == (random.random(), np.random.rand(), torch.rand(()).item())


class Threads(torch.utils.data.Dataset):
    """Its one sample is the number of OpenCV's threads, and a number that the user's function set."""

    def __len__(self):
        return 1

    def __getitem__(self, idx):
        return cv2.getNumThreads(), float(torch.rand(()))


def seed_7(worker_id: int) -> None:
    torch.manual_seed(7 + worker_id)


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_loading_processes_have_the_threads_of_this_one_and_the_users_start(start):
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        loader = build_dataloader(
            Threads(), 1, 1, dist=False, shuffle=False, worker_init_fn=seed_7, multiprocessing_context=start
        )
        threads, number = next(iter(loader))
    finally:
        cv2.setNumThreads(before)
    torch.manual_seed(7)
    assert (threads.item(), number.item()) == (1, float(torch.rand(())))


def extra_content(values, image_value=None):
    content = coco_content([[(5, 0, 0, 9, 9), (7, 70, 0, 9, 9), (7, 0, 0, 9, 9)]])
    for ann, value in zip(content['annotations'], values):
        if value is not None:
            ann['domain'] = value
    if image_value is not None:
        content['images'][0]['domain'] = image_value
    return content


def test_extra_labels_stay_aligned_with_the_boxes(write_coco):
    def info(content, **kwargs):
        return MyCocoDataset(ann_file=write_coco(content), pipeline=[], classes=('cat', 'dog'), **kwargs).get_ann_info(
            0
        )

    assert 'extra_label_name' not in info(extra_content([1, 2, 3]))
    got = info(extra_content([1, 2, 3]), extra_label='domain')
    assert got['extra_label_name'] == 'domain'
    assert got['extra_labels'].tolist() == [1, 3]  # the second box lies outside the image
    assert got['extra_labels'].dtype == np.int64
    assert info(extra_content([1, 2, None], 8), extra_label='domain')['extra_labels'].tolist() == [1, 8]
    assert info(extra_content(['x', 'y', 'z']), extra_label='domain')['extra_labels'].tolist() == ['x', 'z']
    assert 'extra_labels' not in info(extra_content([None, 2, None]), extra_label='domain')
    with pytest.raises(ValueError, match=r"annotation 3 has no 'domain', others of its image \(1.png\) have"):
        info(extra_content([1, 2, None]), extra_label='domain')
