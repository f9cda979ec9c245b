"""The report at the end of a training."""

import logging
import pickle

import pytest
from mmcv import Config

from mmdet.apis.report.training import report_settings, report_training
from mmdet.utils.configs.config_error import ConfigKeyError
from mmdet.utils.plain_data import load_plain

LOGGER = logging.getLogger('mmdet')


def test_report_training_keeps_the_results_of_the_validation(made, tmp_path):
    cfg = Config.fromfile(str(made / 'config.py'))
    cfg.update(work_dir=str(tmp_path), report=dict(examples=2))
    path = report_training(cfg, pickle.loads((made / 'run/results.pkl').read_bytes()), LOGGER)
    assert path == tmp_path / 'report.html' and 'data.val: 12 images' in path.read_text()
    assert len(load_plain(tmp_path / 'results_val.npz')) == 12


def test_report_training_that_fails_leaves_the_training_as_it_is(made, tmp_path, caplog):
    cfg = Config.fromfile(str(made / 'config.py'))
    cfg.update(work_dir=str(tmp_path), report=dict())
    LOGGER.addHandler(caplog.handler)
    try:
        assert report_training(cfg, [], LOGGER) is None
    finally:
        LOGGER.removeHandler(caplog.handler)
    assert 'the training is complete' in caplog.text and '0 results for the 12 images' in caplog.text


def test_report_settings_name_the_key_that_is_meant():
    assert report_settings(dict(score_thr=0.3)).score_thr == 0.3
    with pytest.raises(ConfigKeyError, match="nothing reads 'exmples'; did you mean 'examples'"):
        report_settings(dict(exmples=3))
