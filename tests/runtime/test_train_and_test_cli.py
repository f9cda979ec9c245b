"""``tools/train.py`` and ``tools/test.py`` as processes, on one tiny training run."""

import importlib.util
import json
import pickle

import mmcv
import numpy as np
import pytest
import torch
from process import python
from tiny import CLASSES, ROOT, SIDE


def json_lines(folder):
    """The entries of the newest JSON log."""
    lines = sorted(folder.glob('*.log.json'))[-1].read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_training_leaves_checkpoints_logs_and_config(tiny_run):
    work = tiny_run / 'work'
    assert (work / 'latest.pth').resolve().name == 'epoch_2.pth'
    assert len(list(work.glob('best_bbox_mAP_epoch_*.pth'))) == 1
    assert list(work.glob('tf_logs/events*')) and len(list(work.glob('*.log'))) == 1
    assert mmcv.Config.fromfile(str(work / 'tiny.py')).seed == 3
    assert not list(work.glob('.*.tmp'))


def test_logs_hold_losses_times_and_metrics(tiny_run):
    head, *entries = json_lines(tiny_run / 'work')
    assert head['seed'] == 3 and head['exp_name'] == 'tiny.py'
    train = [entry for entry in entries if entry['mode'] == 'train']
    assert [(e['epoch'], e['iter']) for e in train] == [(e, i) for e in (1, 2) for i in (1, 2, 3, 4)]
    assert {'lr', 'time', 'data_time', 'data_time_fraction', 'loss', 'loss_rpn_cls', 'loss_bbox', 'grad_norm'} <= set(
        train[0]
    )
    assert all(0 <= entry['data_time_fraction'] <= 1 for entry in train)
    val = [entry for entry in entries if entry['mode'] == 'val']
    assert [entry['epoch'] for entry in val] == [1, 2] and 'bbox_mAP_50' in val[0]


def test_output_on_a_file_has_eta_and_audit_and_no_progress_bar(tiny_run):
    text = (tiny_run / 'train.txt').read_text()
    assert 'eta: ' in text and 'data set' in text and 'directives' in text
    assert 'task/s' not in text and '\r' not in text and 'MMCV will release' not in text


def test_checkpoint_has_plain_meta(tiny_run):
    content = torch.load(tiny_run / 'work/latest.pth', weights_only=True)
    meta = content['meta']
    assert (meta['epoch'], meta['iter'], meta['seed']) == (2, 8, 3)
    assert tuple(meta['CLASSES']) == CLASSES and meta['mmdet_version'].startswith('2.')
    assert set(meta['hook_msgs']) >= {'best_score', 'best_ckpt'} and len(content['runner_state']['rng']) == 1


KILLER = """
import os
from mmcv.runner import HOOKS, Hook

@HOOKS.register_module()
class Killer(Hook):
    def before_train_iter(self, runner):
        if runner.iter == 5:
            os._exit(9)
"""
KILLED_CONFIG = """
_base_ = './tiny.py'
custom_imports = dict(imports=['killer'])
custom_hooks = [dict(type='Killer')]
"""


def test_killed_and_resumed_run_equals_the_uninterrupted_one(tiny_run):
    work = tiny_run / 'resumed'
    (tiny_run / 'killer.py').write_text(KILLER)
    (tiny_run / 'killed.py').write_text(KILLED_CONFIG)
    killed = python(
        *('tools/train.py', tiny_run / 'killed.py', '--work-dir', work, '--seed', 3),
        check=False,
        PYTHONPATH=f'{ROOT}:{tiny_run}',
    )
    assert killed.returncode == 9 and (work / 'latest.pth').resolve().name == 'epoch_1.pth'
    python('tools/train.py', tiny_run / 'tiny.py', '--work-dir', work, '--auto-resume', '--seed', 11)
    whole, rest = ([e['loss'] for e in json_lines(f) if e.get('mode') == 'train'] for f in (tiny_run / 'work', work))
    assert rest == whole[4:] and len(rest) == 4
    first, second = (torch.load(f / 'latest.pth', weights_only=True)['state_dict'] for f in (tiny_run / 'work', work))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resumed_run_takes_over_the_seed_unless_another_is_given(tiny_run):
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools/train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    for options, seed in ((['--auto-resume'], 3), (['--auto-resume', '--seed', '5'], 5), ([], None)):
        args = train.parse_args([str(tiny_run / 'tiny.py'), '--work-dir', str(tiny_run / 'work'), *options])
        assert train.seed_of_run(args, train.prepare_config(args)) == seed


def test_testing_evaluates_and_writes_results_pictures_and_metrics(tiny_run, tmp_path):
    done = python(
        *('tools/test.py', tiny_run / 'tiny.py', tiny_run / 'work/latest.pth', '--eval', 'bbox'),
        *('--out', tmp_path / 'out.pkl', '--show-dir', tmp_path / 'shown', '--work-dir', tmp_path, '--fuse-conv-bn'),
        *('--eval-options', 'classwise=True', '--cfg-options', 'data.test.samples_per_gpu=3'),
    )
    assert 'Average Precision' in done.stdout + done.stderr and 'green' in done.stdout + done.stderr
    results = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    assert len(results) == 8 and all(len(r) == 2 and r[0].shape[1] == 5 for r in results)
    assert sorted(p.name for p in (tmp_path / 'shown').iterdir()) == [f'{i}.png' for i in range(8)]
    metric = json.loads(next(tmp_path.glob('eval_*.json')).read_text())['metric']
    logged = json_lines(tiny_run / 'work')[-1]
    # folding batch norm changes the last digits of boxes only
    assert metric['bbox_mAP_50'] == pytest.approx(logged['bbox_mAP_50'], abs=0.05)
    assert np.concatenate(results[0])[:, :4].max() <= SIDE
