"""Images in memory that loading processes share: the same pixels, files read once, a bound."""

import copy
import json
import logging
import pickle
from multiprocessing.reduction import ForkingPickler

import cv2
import numpy as np
import pytest
import torch

from mmdet.datasets import CocoDataset, ConcatDataset, MultiImageMixDataset
from mmdet.datasets.memory import image_cache
from mmdet.datasets.memory.image_cache import ImageCache

SIZES = [(20, 12), (16, 16), (12, 20), (18, 14)]  # width, height
BYTES = [3 * w * h for w, h in SIZES]
LOAD = dict(type='LoadImageFromFile')


@pytest.fixture
def files(tmp_path):
    """An annotation file and its four images; gives the folder."""
    images, anns = [], []
    for i, (width, height) in enumerate(SIZES):
        pixels = np.random.default_rng(i).integers(0, 255, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f'{i}.jpg'), pixels)
        images.append(dict(id=i, width=width, height=height, file_name=f'{i}.jpg'))
        anns.append(dict(id=i + 1, image_id=i, category_id=1, bbox=[1, 1, 8, 9], area=72, iscrowd=0))
    content = dict(images=images, annotations=anns, categories=[dict(id=1, name='a')])
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    return tmp_path


def build(files, cache=None, steps=(LOAD,)):
    return CocoDataset(
        str(files / 'ann.json'), steps, classes=('a',), img_prefix=str(files), test_mode=True, cache_images=cache
    )


def image_of(results):
    return results['img']


@pytest.mark.parametrize('kind', ['decoded', 'encoded'])
def test_loading_processes_fill_it_together_and_the_pixels_are_the_same(files, kind):
    steps = [LOAD, image_of]
    plain, cached = build(files, steps=steps), build(files, dict(size='1MB', kind=kind), steps)
    loader = torch.utils.data.DataLoader(cached, batch_size=None, num_workers=2, persistent_workers=True)
    expected = [plain[i] for i in range(4)]
    assert all(np.array_equal(a, b) for a, b in zip(loader, expected, strict=True))
    for i in range(4):
        (files / f'{i}.jpg').unlink()
    again = [*loader, *(cached[i] for i in range(4))]  # of both workers, and of this process
    assert all(np.array_equal(a, b) for a, b in zip(again, expected * 2, strict=True))


def test_spawned_processes_have_the_same_memory():
    cache = ImageCache(dict(a=12), 100, 'encoded')
    sent = pickle.loads(ForkingPickler.dumps(cache))
    sent.put('a', np.arange(12, dtype=np.uint8))
    assert cache.get('a').tolist() == list(range(12))


def test_a_step_that_changes_its_image_does_not_change_the_cache(files):
    def darken(results):
        results['img'] //= 2
        return results['img']

    dataset = build(files, '1MB', [LOAD, darken])
    assert np.array_equal(dataset[0], dataset[0])


@pytest.mark.parametrize(
    ('cache', 'count', 'kind'),
    [
        (sum(BYTES), 4, 'decoded'),
        (dict(size=sum(BYTES) - 1, kind='decoded'), 3, 'decoded'),
        (dict(size=BYTES[0] - 1, kind='decoded'), 0, 'decoded'),
        ('2.5kB', None, 'encoded'),  # not all fit decoded
    ],
)
def test_what_fits_is_kept_and_told(files, cache, count, kind, caplog):
    if count is None:
        count = int(np.searchsorted(np.cumsum([(files / f'{i}.jpg').stat().st_size for i in range(4)]), 2500))
        assert 0 < count < 4
    with caplog.at_level(logging.INFO, 'mmdet'):
        dataset = build(files, cache)
    assert f'{count} of 4 images, {kind}, ' in caplog.text
    plain = build(files)
    for _ in range(2):
        assert all(np.array_equal(dataset[i]['img'], plain[i]['img']) for i in range(4))
    for i in range(4):
        (files / f'{i}.jpg').unlink()
    cached = dataset.pipeline.transforms[0].reader.cache
    assert [cached.get(str(files / f'{i}.jpg')) is not None for i in range(4)] == [i < count for i in range(4)]


def test_the_machine_bounds_it(files, monkeypatch, caplog):
    monkeypatch.setattr(image_cache, 'available_memory', lambda: 1200)
    dataset = build(files, dict(size='8GB', kind='decoded'))
    cache = dataset.pipeline.transforms[0].reader.cache
    assert len(cache) == 1 and cache.num_bytes == BYTES[0]  # 0.7 * 1200 bytes
    assert '8.0 GB are asked for, 1.2 kB are available; the cache takes 840 B at most' in caplog.text


def test_each_process_of_a_machine_has_its_part(monkeypatch):
    monkeypatch.setattr(image_cache, 'processes_of_machine', lambda: 4)
    assert image_cache.bounded(4000) == 1000


def test_joined_and_mixed_data_sets(files):
    load = [
        LOAD,
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', img_scale=(32, 32), keep_ratio=True),
    ]
    joined = ConcatDataset([build(files, '1MB', load), build(files, '1MB', load)])
    joined.flag = np.zeros(8, np.uint8)
    for part in joined.datasets:
        part.test_mode = False
    mixed = MultiImageMixDataset(joined, [dict(type='Mosaic', img_scale=(32, 32), prob=1.0)])

    def draw():
        np.random.seed(0)
        torch.manual_seed(0)
        return [mixed[i]['img'] for i in range(8)]

    first = draw()
    for i in range(4):
        (files / f'{i}.jpg').unlink()
    assert all(np.array_equal(a, b) for a, b in zip(first, draw()))


@pytest.mark.parametrize(
    ('cache', 'text'),
    [
        ('8 elephants', "cache_images: expected a size such as '8GB'.*got '8 elephants'"),
        (True, 'expected a size'),
        (0, 'expected a size'),
        (dict(size='1GB', kind='decode'), "no kind 'decode'; did you mean 'decoded'"),
        (dict(sise='1GB'), 'cache_images: expected .*sise'),
    ],
)
def test_wrong_settings_are_told(files, cache, text):
    with pytest.raises(ValueError, match=text):
        build(files, cache)


def test_a_pipeline_that_reads_no_images_is_refused(files):
    with pytest.raises(ValueError, match='cache_images: no step of the pipeline reads image files'):
        build(files, '1GB', [])


def test_arrays_that_are_not_what_was_said_are_not_kept():
    cache = ImageCache(dict(a=12, b=12), 100, 'decoded')
    cache.put('a', np.zeros((2, 2, 4), np.uint8))
    cache.put('b', np.zeros((2, 2, 3), np.float32))
    cache.put('c', np.zeros(1, np.uint8))
    assert cache.get('a') is cache.get('b') is cache.get('c') is None
    cache.put('a', np.arange(4, dtype=np.uint8).reshape(2, 2))
    assert cache.get('a').tolist() == [[0, 1], [2, 3]]
    assert copy.deepcopy(cache).get('a') is None  # a copy has memory of its own
