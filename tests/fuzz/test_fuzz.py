"""Damaged annotation files, configs, checkpoints and images: read right, or refused in words, never silently wrong.

The suite draws the same few hundred cases each time. ``make fuzz`` draws others each time, thousands of them.
"""

import copy
import json
import logging
import os
import warnings

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv import Config
from tiny import draw_data, write_config

from mmdet.apis.checking.config_check import check_config
from mmdet.apis.error_texts import shown_text
from mmdet.datasets import CocoDataset
from mmdet.datasets.audit.audit import audit_dataset
from mmdet.datasets.pipelines.loading import LoadImageFromFile
from mmdet.models import build_detector
from mmdet.utils import compat_cfg
from mmdet.utils.checkpoints.checkpoint import read_checkpoint, save_checkpoint

CASES = int(os.environ.get('MMDET_FUZZ', 0))  # of each test; 0: the suite's


def cases(number):
    return settings(
        max_examples=CASES or number,
        derandomize=not CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


class Said(logging.Handler):
    """Whether something has been logged as a warning."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def attempt(call, *names):
    """What a call gives and what it warned of; (None, text) where it refused in words that have one of the names."""
    said = Said()
    logger = logging.getLogger('mmdet')
    logger.addHandler(said)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            result = call()
        return result, [*said.texts, *(str(warning.message) for warning in caught)]
    except Exception as error:
        text = shown_text(error) or str(error)
        clear = shown_text(error) is not None or any(name in str(error) for name in names)
        assert clear, f'{type(error).__name__}: {error}'
        return None, [text]
    finally:
        logger.removeHandler(said)


# places in bytes and what comes there; positions are fractions of the length, so that small cases stay small
EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(['flip', 'cut', 'zero', 'insert', 'drop']),
              st.integers(0, 255)),
    min_size=1, max_size=4,
)  # fmt: skip


def edited(data, edits):
    """Bytes with some of them flipped, cut off, zeroed, inserted or dropped."""
    data = bytearray(data)
    for place, kind, value in edits:
        at = int(place * len(data))
        if kind == 'cut':
            del data[at:]
        elif kind == 'flip' and data:
            data[at] ^= value or 1
        elif kind == 'zero':
            data[at : at + value] = bytes(len(data[at : at + value]))
        elif kind == 'insert':
            data[at:at] = bytes([value]) * 3
        elif kind == 'drop':
            del data[at : at + value]
    return bytes(data)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fuzz')
    draw_data(folder, 3)
    return folder


@pytest.fixture(scope='module')
def checkpoint(folder):
    path = folder / 'good.pth'
    save_checkpoint(torch.nn.Linear(2, 2), str(path), meta=dict(epoch=3, CLASSES=('red', 'green')))
    return path.read_bytes(), read_checkpoint(path)


@cases(120)
@given(edits=EDITS)
def test_damaged_checkpoint_is_refused_or_whole(folder, checkpoint, edits):
    data, whole = checkpoint
    path = folder / 'damaged.pth'
    path.write_bytes(edited(data, edits))
    content, _ = attempt(lambda: read_checkpoint(path), 'damaged.pth')
    if content is not None:
        assert content['meta'] == whole['meta']
        assert all(torch.equal(content['state_dict'][name], value) for name, value in whole['state_dict'].items())


@cases(60)
@given(edits=EDITS, suffix=st.sampled_from(['.png', '.jpg']))
def test_damaged_image_is_refused_or_has_its_size(folder, edits, suffix):
    good = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    path = folder / f'damaged{suffix}'
    path.write_bytes(edited(cv2.imencode(suffix, good)[1].tobytes(), edits))
    info = dict(filename=path.name, width=32, height=24)
    results, said = attempt(lambda: LoadImageFromFile()(dict(img_info=info, img_prefix=str(folder))), path.name)
    if results is not None:
        assert results['img'].shape == (24, 32, 3)
        if suffix == '.png' and not said:  # its checksums tell every change of pixels
            assert np.array_equal(results['img'], good)


JUNK = st.sampled_from([
    None, '', 'x', '7', -1, 0, 3.5, 1e30, float('nan'), float('inf'), True, [], {}, [1], ['a', 'b'], dict(a=1), 10**20,
    [None] * 4, [1, 2, 3], [5, 5, -3, 4], [[0, 0, 4, 4]], '\ud800',
])  # fmt: skip
# parts of a COCO file: path to a place, and what is done there
FIELDS = [
    *((part,) for part in ('images', 'annotations', 'categories')),
    *(('images', 0, key) for key in ('id', 'file_name', 'width', 'height')),
    *(('annotations', 0, key) for key in ('id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd')),
    *(('annotations', 0, 'bbox', i) for i in range(4)),
    *(('categories', 0, key) for key in ('id', 'name')),
    *((part, 0) for part in ('images', 'annotations', 'categories')),
]


def read_boxes(path, folder):
    """Images with their boxes and labels, as training sees them."""
    dataset = CocoDataset(str(path), [], ('red', 'green'), img_prefix=f'{folder}/img/', filter_empty_gt=False)
    notes = audit_dataset(dataset, logger='silent').notes  # a run looks at its data first
    if notes:
        logging.getLogger('mmdet').warning('%s', notes)
    anns = [dataset.get_ann_info(i) for i in range(len(dataset))]
    infos = [(info['filename'], info['width'], info['height']) for info in dataset.data_infos]
    return [(info, ann['bboxes'].tolist(), ann['labels'].tolist()) for info, ann in zip(infos, anns)]


@cases(150)
@given(place=st.sampled_from(FIELDS), junk=JUNK, drop=st.booleans())
def test_mutated_annotations_are_refused_or_read_or_told(folder, place, junk, drop):
    content = json.loads((folder / 'ann.json').read_text())
    node = content
    for key in place[:-1]:
        node = node[key]
    before = node[place[-1]]
    if drop:
        del node[place[-1]]
    else:
        node[place[-1]] = junk
    path = folder / 'mutated.json'
    path.write_text(json.dumps(content))
    good = read_boxes(folder / 'ann.json', folder)
    boxes, said = attempt(lambda: read_boxes(path, folder), 'mutated.json')
    # numbers in the place of numbers are other data, not damage
    is_data = not drop and isinstance(junk, int | float | str) and not isinstance(junk, bool) and (
        isinstance(junk, str) == isinstance(before, str)
    )  # fmt: skip
    is_data = is_data or (place[-1] == 'iscrowd' and junk is True)
    shortened = drop and place[-1] == 0 or (place[-1] in ('images', 'annotations') and junk == [])
    assert boxes is None or boxes == good or said or is_data or shortened, (place, junk, drop, boxes)


def keys_in(node, path=()):
    """Paths of all keys of a config."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in items:
        if isinstance(node, dict):
            yield (*path, key)
        yield from keys_in(value, (*path, key))


def misspelt(key, place, kind):
    at = int(place * len(key))
    if kind == 'drop' and len(key) > 3:
        return key[:at] + key[at + 1 :]
    return key[:at] + key[at] + key[at:]


@pytest.fixture(scope='module')
def config(folder):
    cfg = Config.fromfile(str(write_config(folder)))._cfg_dict.to_dict()
    own = ('source', 'norm', 'train_pipeline', 'test_pipeline')
    return {key: value for key, value in cfg.items() if key not in own}


@cases(80)
@given(data=st.data())
def test_misspelt_key_of_a_config_is_named(config, data):
    known = [p for p in keys_in(config) if p[-1] not in ('type', 'custom_keys')]
    path = data.draw(st.sampled_from(known))
    at, kind = data.draw(st.floats(0, 1, exclude_max=True)), data.draw(st.sampled_from(['drop', 'double']))
    wrong = misspelt(path[-1], at, kind)
    cfg = copy.deepcopy(config)
    node = cfg
    for key in path[:-1]:
        node = node[key]
    node[wrong] = node.pop(path[-1])

    def start():
        # a missing part is an error of its own; those of the model are told by its classes
        ready = compat_cfg(Config(cfg))
        check_config(ready)
        if path[0] == 'model':
            build_detector(ready.model)
        return True

    passed, said = attempt(start, wrong, path[-1])
    assert passed is None or any(wrong in text for text in said), '.'.join(map(str, (*path[:-1], wrong)))
