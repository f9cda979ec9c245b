"""The lines before and after a run."""

import logging
from types import SimpleNamespace

import pytest
from mmcv import Config
from torch import nn

from mmdet.apis.run_summary import describe_end, describe_run, effective_batch, learning_rate_advice


def config(**changes):
    cfg = Config(
        dict(
            data=dict(samples_per_gpu=3, train_dataloader=dict(samples_per_gpu=2)),
            optimizer=dict(type='SGD', lr=0.02),
            optimizer_config=dict(cumulative_iters=4),
            lr_config=dict(policy='step', step=[8, 11], warmup='linear', warmup_iters=500),
            runner=dict(type='EpochBasedRunner', max_epochs=12),
            evaluation=dict(interval=2, metric=['bbox', 'segm'], save_best='segm_mAP'),
            auto_scale_lr=dict(base_batch_size=16),
            custom_hooks=[dict(type='EarlyStoppingHook', patience=4)],
            work_dir='work',
            seed=7,
        )
    )
    cfg.merge_from_dict(changes)
    return cfg


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.neck = nn.Linear(300, 1000), nn.Conv1d(1, 1, 1)
        self.neck.requires_grad_(False)


class Photos:
    CLASSES = ('cat', 'dog')

    def __len__(self):
        return 101


def test_a_run_is_told_in_six_lines():
    lines = describe_run(config(), Detector(), [Photos()], logging.getLogger('summary')).splitlines()
    assert lines[:5] == [
        '  model: Detector (Linear, Conv1d), 0.3 M parameters, 0.3 M of them learn',
        '  data: 101 images an epoch (Photos), 2 classes (cat, dog), evaluated by bbox, segm every 2 epochs, the best '
        'by segm_mAP is kept',
        '  schedule: 12 epochs of 51 iterations, 8 images a step; SGD, lr 0.02, policy step at [8, 11], 500 iterations '
        'of warm-up',
        '  run: seed 7; early stopping after 4 evaluations without improvement',
        '  work dir: work',
    ]
    assert lines[5].startswith('  machine: ') and 'torch' in lines[5] and len(lines) == 6


def test_log_file_and_config_are_named(tmp_path):
    logger = logging.getLogger('summary with a file')
    handler = logging.FileHandler(tmp_path / 'a.log')
    logger.addHandler(handler)
    text = describe_run(config(), Detector(), [Photos()], logger)
    handler.close()
    assert 'work dir: work (log a.log)' in text


@pytest.mark.parametrize(
    ('changes', 'batch', 'rate'),
    [
        ({}, 8, '0.01'),
        ({'optimizer_config': dict(cumulative_iters=8)}, 16, None),
        ({'gpu_ids': [0, 1], 'optimizer_config': dict(cumulative_iters=1)}, 4, '0.005'),
        ({'auto_scale_lr.enable': True}, 8, None),
        ({'auto_scale_lr': None}, 8, None),
    ],
)
def test_batch_and_what_the_linear_rule_gives(changes, batch, rate):
    cfg = config(**changes)
    assert effective_batch(cfg) == batch
    advice = learning_rate_advice(cfg)
    assert (advice is None) == (rate is None)
    if rate:
        assert f'learns from {batch} images, lr 0.02 is meant for 16: the linear rule gives {rate} ' in advice


def test_end_names_the_best_checkpoint_its_figures_and_the_next_command(tmp_path):
    (tmp_path / 'latest.pth').touch()
    (tmp_path / 'c.py').touch()
    best = tmp_path / 'best_bbox_mAP_epoch_3.pth'
    messages = dict(
        best_ckpt=str(best),
        best_score=0.25,
        best_figures={'bbox_mAP': 0.25, 'bbox_mAP_50': 0.5, 'bbox_mAP_l': -1.0, 'bbox_AP/cat': 0.25},
    )
    runner = SimpleNamespace(meta=dict(hook_msgs=messages), work_dir=str(tmp_path), epoch=4, iter=40)
    assert describe_end(runner, 'c.py', 'bbox').splitlines() == [
        'training is done: 4 epochs, 40 iterations',
        f'  best checkpoint: {best} (bbox_mAP 0.2500)',
        '  its figures: bbox_mAP 0.250, bbox_mAP_50 0.500',
        f'  last checkpoint: {tmp_path / "latest.pth"}',
        f'  next: python tools/test.py {tmp_path / "c.py"} {best} --eval bbox --show-dir {tmp_path / "pictures"}',
    ]
    assert f'{best} --show-dir' in describe_end(runner, 'c.py', [])  # without data.val no metric is known
    assert 'next' not in describe_end(runner, 'stage', 'bbox')  # there is no such config in the work dir


@pytest.mark.parametrize(
    ('runner', 'validate', 'text'),
    [
        (dict(type='EpochBasedRunner', max_epochs=2), True, ', evaluated every epoch'),
        (dict(type='IterBasedRunner', max_iters=9), True, ', evaluated every iteration'),
        (dict(type='EpochBasedRunner', max_epochs=2), False, ', not evaluated'),
    ],
)
def test_a_run_without_settings_of_the_evaluation_says_what_happens(runner, validate, text):
    cfg = config()
    cfg.evaluation, cfg.runner = None, runner
    lines = describe_run(cfg, Detector(), [Photos()], logging.getLogger('summary'), validate).splitlines()
    assert lines[1].endswith(text)
