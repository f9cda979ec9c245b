"""Options that change a helper of a config file are told."""

from types import SimpleNamespace

import pytest
from mmcv import Config

from mmdet.apis.checking.unused_options import options_without_effect
from mmdet.apis.launch import config_from_args

TEXT = """
root = 'data/coco/'
batch = 2
train_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', img_scale=(64, 64))]
data = dict(samples_per_gpu=batch, train=dict(type='CocoDataset', img_prefix=root, pipeline=train_pipeline))
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / 'a.py'
    file.write_text(TEXT)
    return str(file)


def test_helper_is_named_with_the_places_of_its_value(path):
    cfg = Config.fromfile(path)
    assert options_without_effect(cfg, {'train_pipeline.1.img_scale': (32, 32), 'root': 'x'}) == [
        'the option train_pipeline.1.img_scale changes nothing: only the config file refers to train_pipeline; it '
        'stands in data.train.pipeline.1.img_scale',
        'the option root changes nothing: only the config file refers to root; it stands in data.train.img_prefix',
    ]
    assert options_without_effect(cfg, {'batch': 4}) == [
        'the option batch changes nothing: only the config file refers to batch'
    ]


def test_keys_that_are_read_pass(path):
    cfg = Config.fromfile(path)
    assert options_without_effect(cfg, {'data.train.pipeline.1.img_scale': (32, 32), 'load_from': 'a.pth'}) == []
    cfg.custom_keys = ['batch']
    assert options_without_effect(cfg, {'batch': 4}) == []


def test_command_lines_warn(path):
    with pytest.warns(UserWarning, match='the option batch changes nothing'):
        config_from_args(SimpleNamespace(config=path, cfg_options={'batch': 4}))
