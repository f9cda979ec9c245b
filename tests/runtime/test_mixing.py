"""Whole runs on a mixture: what the log has, and that an interrupted run goes on as if it had not been."""

import copy
import logging
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mixture import write_mixture
from mmcv import Config
from mmcv.utils import logging as mmcv_logging
from process import python_pair
from tiny import ROOT, draw_data

from mmdet.apis import set_random_seed, train_detector
from mmdet.apis.validation_loss import validation_loss, with_pipeline
from mmdet.datasets import build_dataset
from mmdet.datasets.samplers.source_sampler import SourceBatchSampler
from mmdet.models import build_detector
from mmdet.utils.running.json_log import read_json_log
from mmdet.utils.util_distribution import build_dp

ITERS = dict(type='IterBasedRunner', max_iters=6)
SOURCES = 'real', 'synthetic'
set_epoch = SourceBatchSampler.set_epoch


@pytest.fixture(autouse=True)
def quick_and_clean(monkeypatch):
    """No pauses of mmcv's, and a logger that the next test does not inherit."""
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    yield
    logging.getLogger('mmdet').handlers.clear()
    mmcv_logging.logger_initialized.pop('mmdet', None)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('mixture')
    draw_data(path)
    return path


def train(folder, work, dataloader='source_ratio=[1, 1]', **changes):
    """Train on the mixture; gives the model and the rows of the log."""
    cfg = Config.fromfile(str(write_mixture(folder, dataloader)))
    cfg.merge_from_dict({'work_dir': str(work), 'seed': 1, 'device': 'cpu', 'gpu_ids': [0]})
    for key, value in changes.items():
        cfg[key] = value
    set_random_seed(1)
    model = build_detector(cfg.model)
    train_detector(model, build_dataset(cfg.data.train), cfg, timestamp='log', meta=dict(seed=1))
    return model, read_json_log(work / 'log.log.json')


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_iterations_resume_exactly_and_log_every_loss_by_source(folder, tmp_path):
    whole, rows = train(folder, tmp_path / 'whole', runner=ITERS)
    rest, _ = train(folder, tmp_path / 'rest', runner=ITERS, resume_from=str(tmp_path / 'whole/iter_2.pth'))
    assert same_weights(whole, rest)
    for row in rows:
        for name in ('loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'):
            assert row[f'{name}/real'] + row[f'{name}/synthetic'] == pytest.approx(row[name], abs=2e-4)  # 5 digits
        assert row['images/real'] == row['images/synthetic'] == 1
        assert row['rpn_pos/real'] + row['rpn_neg/real'] > 0


@pytest.mark.parametrize('dataloader', ['source_ratio=[2, 1]', 'repeat_factors=[1, 1.5]'])
def test_epochs_resume_exactly(folder, tmp_path, dataloader, monkeypatch):
    epochs = []
    monkeypatch.setattr(
        SourceBatchSampler, 'set_epoch', lambda self, epoch: epochs.append(epoch) or set_epoch(self, epoch)
    )
    config = dict(interval=1)
    whole, rows = train(folder, tmp_path / 'whole', dataloader, checkpoint_config=config)
    point = str(tmp_path / 'whole/epoch_1.pth')
    rest, _ = train(folder, tmp_path / 'rest', dataloader, checkpoint_config=config, resume_from=point)
    assert same_weights(whole, rest)
    assert epochs == [0, 1, 1]
    assert len({str(sorted(row.items())) for row in rows}) == len(rows) > 6


def test_tensorboard_has_a_tag_for_each_source_and_charts(folder, tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    shorter = {**Config.fromfile(str(write_mixture(folder, ''))).data, 'source_ratio': [1, 1]}
    _, rows = train(folder, tmp_path, runner=dict(type='IterBasedRunner', max_iters=2), data=Config(shorter)._cfg_dict)
    assert [row['images/synthetic'] for row in rows] == [1, 1]
    events = accumulator.EventAccumulator(str(tmp_path / 'tf_logs')).Reload()
    tags = events.Tags()
    assert {f'train/loss_rpn_cls/{source}' for source in SOURCES} | {'train/loss_rpn_cls'} <= set(tags['scalars'])
    assert any('custom_scalars' in tag for tag in tags['tensors'])


def test_validation_losses_are_those_of_every_image_once(folder, tmp_path):
    cfg = Config.fromfile(str(write_mixture(folder)))
    cfg.merge_from_dict({'work_dir': str(tmp_path), 'seed': 1, 'device': 'cpu', 'gpu_ids': [0]})
    cfg.update(workflow=[('train', 1), ('val', 1)], runner=dict(type='EpochBasedRunner', max_epochs=1))
    datasets = [build_dataset(cfg.data.train) for _ in range(2)]
    train_detector(build_detector(cfg.model), datasets, cfg, timestamp='log')
    *train_rows, val_row = read_json_log(tmp_path / 'log.log.json')
    assert len(train_rows) == 8 and val_row['mode'] == 'val' and val_row['iter'] == 6
    assert 'loss_cls_val' in val_row and not any('/' in name for name in val_row)


def test_two_processes_share_batches_and_sum_losses(folder):
    config = write_mixture(folder)
    first, _ = python_pair(ROOT / 'tests/runtime/mixing_worker.py', config)
    assert 'all processes agree' in first.stdout


def test_evaluation_logs_losses_and_figures_by_source_and_by_class(folder, tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    cfg = Config.fromfile(str(write_mixture(folder, '')))
    train_set = copy.deepcopy(cfg.data.train)
    cfg.data.val = with_pipeline(train_set, cfg.data.val.pipeline)
    cfg.merge_from_dict({'work_dir': str(tmp_path), 'seed': 1, 'device': 'cpu', 'gpu_ids': [0]})
    cfg.evaluation = dict(
        interval=1, metric='bbox', classwise=True, metric_items=['mAP', 'F1'], loss=True, save_best='loss_val'
    )
    cfg.runner = dict(type='EpochBasedRunner', max_epochs=1)
    model = build_detector(cfg.model)
    train_detector(model, build_dataset(cfg.data.train), cfg, validate=True, timestamp='log')
    row = read_json_log(tmp_path / 'log.log.json')[-1]
    assert row['mode'] == 'val'
    # 8 images of the one source, 4 of the other
    for name in ('loss_val', 'loss_cls_val', 'loss_rpn_bbox_val'):
        assert row[name] == pytest.approx((8 * row[f'{name}/real'] + 4 * row[f'{name}/synthetic']) / 12, abs=2e-5)
    figures = {
        f'{source}_bbox_{name}' for source in SOURCES for name in ('mAP', 'F1', 'AP/red', 'F1/red', 'threshold/red')
    }
    assert figures <= set(row)
    assert 'real_bbox_AP/green' in row and 'synthetic_bbox_AP/green' not in row  # of which it has none
    tags = accumulator.EventAccumulator(str(tmp_path / 'tf_logs')).Reload().Tags()['scalars']
    assert {'val/real_bbox_AP/green', 'val/loss_val/synthetic'} <= set(tags)
    assert (tmp_path / 'best_loss_val_epoch_1.pth').exists()
    losses = validation_loss(cfg, True, dict(samples_per_gpu=2, workers_per_gpu=0, dist=False))
    runner = SimpleNamespace(model=build_dp(model, 'cpu'))
    assert losses(runner) == losses(runner)  # whatever samples are drawn
