"""Runs that the system ends go on in the middle of an epoch, and end as if they had been left alone."""

import logging
import os
import re
import signal
import subprocess
import time

import pytest
import torch
from mmcv import Config
from mmcv.runner import HOOKS, Hook
from mmcv.utils import logging as mmcv_logging
from tiny import ROOT, write_config
from two_processes import run_two

from mmdet.apis import set_random_seed, train_detector
from mmdet.apis.launch import reported_errors
from mmdet.apis.resuming import named_point_after_interrupt
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils.errors import RunInterruptedError

ADDED = """
custom_hooks = [dict(type='SignalHook'), dict(type='ExpMomentumEMAHook', momentum=0.1, total_iter=5, priority=49)]
data['workers_per_gpu'] = 1
lr_config.update(step=[1])
"""
ITERATIONS = """
runner = dict(type='IterBasedRunner', max_iters=8)
checkpoint_config = dict(interval=5, by_epoch=False)
lr_config.update(by_epoch=False)
"""


@HOOKS.register_module(force=True)
class SignalHook(Hook):
    """Sends a signal to its own process, the one of the highest rank."""

    at, number = 0, signal.SIGUSR1

    def after_train_iter(self, runner):
        if runner.iter + 1 == SignalHook.at and runner.rank == runner.world_size - 1:
            os.kill(os.getpid(), SignalHook.number)


@pytest.fixture(autouse=True)
def quick_and_clean(monkeypatch):
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    monkeypatch.setattr(SignalHook, 'at', 0)
    yield
    logging.getLogger('mmdet').handlers.clear()
    mmcv_logging.logger_initialized.pop('mmdet', None)


def read(config, work):
    cfg = Config.fromfile(str(config))
    own = dict(work_dir=str(work), seed=1, device='cpu', gpu_ids=[0], auto_resume=True)
    cfg.merge_from_dict(dict(own, audit=dict(enable=False)))
    return cfg


def train(cfg, distributed=False):
    set_random_seed(1)
    model = build_detector(cfg.model)
    train_detector(model, build_dataset(cfg.data.train), cfg, distributed, timestamp='log', meta={})
    return model


@pytest.mark.parametrize('added', ['', ITERATIONS])
def test_interrupted_run_goes_on_in_the_epoch_and_equals_an_undisturbed_one(tiny_data, tmp_path, monkeypatch, added):
    config, work = write_config(tiny_data, ADDED + added), tmp_path / 'work'
    whole = train(read(config, tmp_path / 'whole'))
    before = signal.getsignal(signal.SIGUSR1)
    monkeypatch.setattr(SignalHook, 'at', 6)
    with pytest.raises(RunInterruptedError) as caught:
        train(read(config, work))
    assert str(caught.value) == (
        f'SIGUSR1 after iteration 6: {work}/interrupted.pth is whole; --auto-resume goes on from it'
    )
    assert signal.getsignal(signal.SIGUSR1) == before
    monkeypatch.setattr(SignalHook, 'at', 0)
    resumed = train(read(config, work))
    assert not (work / 'interrupted.pth').exists()
    pairs = zip(whole.state_dict().items(), resumed.state_dict().items())
    assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)


def interrupted_in_both(rank, cfg):
    SignalHook.at, SignalHook.number = 3, signal.SIGTERM
    with reported_errors():
        train(cfg, distributed=True)


def test_signal_to_one_of_two_processes_stops_both(tiny_data, tmp_path):
    work = tmp_path / 'work'
    ends = run_two(interrupted_in_both, tmp_path, read(write_config(tiny_data, ADDED), work))
    said = f'SIGTERM after iteration 3: {work}/interrupted.pth is whole; --auto-resume goes on from it'
    assert [(code, text.strip().splitlines()[-1]) for code, text in ends] == [(75, said)] * 2, ends
    meta = torch.load(work / 'interrupted.pth', weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (1, 3)  # two iterations an epoch


def test_ctrl_c_ends_in_one_line_that_names_the_option(tmp_path, capsys):
    for name, said in ((None, 'there is no checkpoint yet'), ('epoch_3.pth', 'auto-resume goes on from .*epoch_3.pth')):
        if name:
            (tmp_path / name).touch()
        with pytest.raises(SystemExit) as caught, reported_errors(), named_point_after_interrupt(tmp_path):
            raise KeyboardInterrupt
        assert caught.value.code == 130
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and re.search(f'^interrupted: .*{said}$', lines[0])


def test_resumed_run_that_is_finished_says_so(tiny_data, tmp_path, caplog):
    config = write_config(tiny_data, ADDED)
    train(read(config, tmp_path))
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level(logging.INFO, 'mmdet'):
        train(read(config, tmp_path))
    assert 'this run is finished: 2 of 2 epochs are done; give more of them to go on' in caplog.messages


@pytest.mark.parametrize('in_sbatch', [False, True])
def test_slurm_script_starts_an_interrupted_run_again(tmp_path, in_sbatch):
    """A made-up srun ends with status 75 at its first call, 0 at its second."""
    for name, text in (
        ('srun', 'echo "$@" >> calls; [ "$(wc -l < calls)" -gt 1 ] || exit 75'),
        ('scontrol', 'echo "scontrol $*" >> calls'),
    ):
        (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / name).chmod(0o755)
    job = {'SLURM_JOB_ID': '17'} if in_sbatch else {}
    done = subprocess.run(
        ['bash', str(ROOT / 'tools/slurm_train.sh'), 'part', 'job', 'c.py', 'work', '--seed', '1'],
        cwd=tmp_path, env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'GRACE': '60', **job},
    )  # fmt: skip
    first, second = (tmp_path / 'calls').read_text().splitlines()
    assert '--signal=USR1@60' in first and first.endswith('c.py --work-dir=work --launcher=slurm --seed 1')
    assert second == ('scontrol requeue 17' if in_sbatch else f'{first} --auto-resume')
    assert done.returncode == (75 if in_sbatch else 0)
