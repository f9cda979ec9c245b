"""A fault of one process ends the others with its reason; slow figures of rank 0 do not end anybody."""

import logging
import re
import time

import pytest
import torch.distributed as dist
from mmcv import Config
from mmcv.runner import HOOKS, Hook
from mmcv.utils import logging as mmcv_logging
from tiny import write_config
from two_processes import run_two

from mmdet.apis import set_random_seed, train_detector
from mmdet.apis.launch import UserError, reported_errors
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils.running.group_failure import wait_for_first, watch_for_failures


def fail_user(runner):
    raise UserError('--option is wrong')


def fail_loss(runner):
    runner.outputs['log_vars']['loss_cls'] = float('nan')


def fail_image(runner):
    for info in runner.data_loader.dataset.data_infos:
        info['filename'] = info['file_name'] = 'gone.png'


def fail_code(runner):
    return {}['no such key']


FAULTS = {
    'an option': (fail_user, 'process 1: --option is wrong'),
    'a loss': (fail_loss, 'process 1: iteration 2 .*loss_cls=nan not finite'),
    'an image': (fail_image, 'process 1: .*gone.png'),
    'code': (fail_code, "process 1: KeyError: 'no such key'"),
}


@HOOKS.register_module(force=True)
class FaultHook(Hook):
    """Does something wrong in the second iteration, on the process of rank 1."""

    fault = None

    def before_train_epoch(self, runner):
        if FaultHook.fault is fail_image and runner.rank == 1:
            fail_image(runner)

    def after_train_iter(self, runner):
        if FaultHook.fault and FaultHook.fault is not fail_image and runner.rank == 1 and runner.iter == 1:
            FaultHook.fault(runner)


def train(rank, cfg, fault):
    FaultHook.fault = fault
    watch_for_failures()
    with reported_errors():
        set_random_seed(1)
        train_detector(build_detector(cfg.model), build_dataset(cfg.data.train), cfg, True, timestamp='log', meta={})


@pytest.fixture
def config(tiny_data, tmp_path):
    cfg = Config.fromfile(str(write_config(tiny_data)))
    own = dict(work_dir=str(tmp_path / 'work'), seed=1, device='cpu', gpu_ids=[0], audit=dict(enable=False))
    cfg.merge_from_dict(dict(own, custom_hooks=[dict(type='FaultHook', priority=5)]))
    yield cfg
    logging.getLogger('mmdet').handlers.clear()
    mmcv_logging.logger_initialized.pop('mmdet', None)


@pytest.mark.parametrize('name', FAULTS)
def test_others_end_with_the_reason_of_the_first(config, tmp_path, name):
    fault, reason = FAULTS[name]
    (code, first), (other_code, second) = run_two(train, tmp_path, config, fault)
    assert (code, other_code) == (1, 1), (first, second)
    last = first.strip().splitlines()[-1]
    assert re.match(f'error: the run ends, since another process has failed: {reason}', last), first
    assert ('Traceback' in second) == (name == 'code') and 'Traceback' not in first


def wait_and_meet(rank):
    if rank == 0:
        time.sleep(2.5)
    wait_for_first('figures')
    dist.barrier()


def test_figures_of_one_process_may_take_longer_than_the_backend_waits(tmp_path):
    ends = run_two(wait_and_meet, tmp_path, group_timeout=1)
    assert ends == [(0, '')] * 2
