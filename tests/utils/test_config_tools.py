import logging
import multiprocessing
import os

import cv2
import pytest
from mmcv import Config

from mmdet.utils import compat_cfg, find_latest_checkpoint, replace_cfg_vals, setup_multi_processes, update_data_root
from mmdet.utils.logger import log_img_scale
from mmdet.utils.running.progress import progress_bar


def test_compat_cfg_moves_loader_keys_and_leaves_the_given_config_alone():
    cfg = Config(
        dict(
            total_epochs=7,
            data=dict(
                imgs_per_gpu=4,
                workers_per_gpu=3,
                persistent_workers=True,
                pin_memory=True,
                train={},
                val=dict(samples_per_gpu=2),
            ),
        )
    )
    with pytest.warns(UserWarning, match='total_epochs is an old key'):
        new = compat_cfg(cfg)
    shared = dict(workers_per_gpu=3, persistent_workers=True, pin_memory=True)
    assert new.runner == dict(type='EpochBasedRunner', max_epochs=7)
    assert new.data.train_dataloader == dict(samples_per_gpu=4, **shared)
    assert new.data.val_dataloader == dict(samples_per_gpu=2, **shared)
    assert new.data.test_dataloader == shared
    assert new.data.imgs_per_gpu == 4  # users' code may read it
    assert cfg.data.imgs_per_gpu == 4 and 'runner' not in cfg


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        (dict(), "no 'runner'"),
        (dict(total_epochs=3, runner=dict(type='EpochBasedRunner', max_epochs=4)), 'disagrees'),
        (dict(total_epochs=1, data=dict(workers_per_gpu=1, val_dataloader=dict(workers_per_gpu=2))), 'workers_per_gpu'),
    ],
)
def test_compat_cfg_reports_contradictions(content, text):
    with pytest.raises(ValueError, match=text):
        compat_cfg(Config(content))


def test_replace_cfg_vals_follows_references_of_references():
    cfg = Config(dict(a=dict(b=[3, 4]), c='${a.b}', d='x${c.1}', e=dict(f='${d}')))
    got = replace_cfg_vals(cfg)
    assert (got.c, got.d, got.e.f) == ([3, 4], 'x4', 'x4')


def test_replace_cfg_vals_puts_a_wrapper_in_place_of_the_model():
    cfg = Config(dict(model=dict(type='FasterRCNN'), model_wrapper=dict(type='SoftTeacher', detector='${model}')))
    got = replace_cfg_vals(cfg)
    assert got.model == dict(type='SoftTeacher', detector=dict(type='FasterRCNN'))
    assert 'model_wrapper' not in got
    assert cfg.model.type == 'FasterRCNN'


@pytest.mark.parametrize(
    ('content', 'error', 'text'),
    [
        (dict(a='${b.c}'), KeyError, 'b.c'),
        (dict(a='${b}', b='${a}'), ValueError, 'circle'),
        (dict(a=dict(b=1), c='x${a}'), TypeError, 'ConfigDict|dict'),
    ],
)
def test_replace_cfg_vals_reports_wrong_references(content, error, text):
    with pytest.raises(error, match=text):
        replace_cfg_vals(Config(content))


def test_latest_checkpoint_is_the_link_then_the_largest_number(tmp_path):
    assert find_latest_checkpoint(tmp_path / 'nowhere') is None
    for name in ('epoch_2.pth', 'epoch_10.pth', 'best_bbox_mAP_epoch_11.pth', '.epoch_12.pth.tmp'):
        (tmp_path / name).touch()
    assert find_latest_checkpoint(tmp_path) == str(tmp_path / 'epoch_10.pth')
    (tmp_path / 'latest.pth').symlink_to('gone.pth')
    assert find_latest_checkpoint(tmp_path) == str(tmp_path / 'epoch_10.pth')
    (tmp_path / 'gone.pth').touch()
    assert find_latest_checkpoint(tmp_path) == str(tmp_path / 'latest.pth')


def test_data_root_comes_from_the_environment(monkeypatch):
    cfg = Config(dict(data_root='data/coco/', data=dict(train=[dict(ann_file='data/coco/a.json', n=1)])))
    update_data_root(cfg)
    assert cfg.data_root == 'data/coco/'
    monkeypatch.setenv('MMDET_DATASETS', '/big/')
    update_data_root(cfg)
    assert cfg.data_root == '/big/' and cfg.data.train[0] == dict(ann_file='/big/a.json', n=1)


def test_setup_multi_processes_limits_threads_unless_told_otherwise(monkeypatch):
    before = cv2.getNumThreads()
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setenv('MKL_NUM_THREADS', '5')
    setup_multi_processes(Config(dict(data=dict(val_dataloader=dict(workers_per_gpu=4)), mp_start_method='fork')))
    assert multiprocessing.get_start_method() == 'fork'
    assert (os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS']) == ('1', '5')
    with pytest.raises(ValueError, match='mp_start_method'):
        setup_multi_processes(Config(dict(mp_start_method='thread')))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    cv2.setNumThreads(before)


def test_log_img_scale_names_both_sides(caplog):
    logging.getLogger('mmdet').propagate = True
    assert log_img_scale((1333, 800), 'wh') is True
    assert 'height 800, width 1333' in caplog.text and 'test_log_img_scale' in caplog.text
    assert log_img_scale((640, 640), skip_square=True) is False
    with pytest.raises(ValueError, match='shape_order'):
        log_img_scale((1, 2), 'xy')


def test_progress_bar_is_silent_without_a_terminal(capsys):
    bar = progress_bar(3)
    bar.update(3)
    assert capsys.readouterr().out == '' and bar.completed == 3
