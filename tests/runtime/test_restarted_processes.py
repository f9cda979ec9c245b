"""Processes that torchrun restarts go on by themselves."""

import torch
from process import free_port, python, python_pair
from tiny import write_config

KILL = """
import os, signal
from mmcv.runner import HOOKS, Hook


@HOOKS.register_module()
class KillOnceHook(Hook):
    def after_train_iter(self, runner):
        if os.environ['TORCHELASTIC_RESTART_COUNT'] == '0' and os.environ['RANK'] == '1' and runner.iter == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""
ADDED = "\ncustom_imports = dict(imports=['{module}'])\ncustom_hooks = [dict(type='{hook}')]\n"


def command(config, work):
    return ('tools/train.py', config, '--launcher', 'pytorch', '--seed', 3, '--work-dir', work, '--no-validate')


def weights(work):
    return torch.load(work / 'latest.pth', weights_only=True)['state_dict']


def test_restarted_job_ends_with_the_weights_of_an_undisturbed_one(tiny_data, tmp_path):
    (tmp_path / 'kill_once.py').write_text(KILL)
    python_pair(*command(write_config(tiny_data), tmp_path / 'whole'))
    killing = write_config(tiny_data, ADDED.format(module='kill_once', hook='KillOnceHook'))
    python(
        *('-m', 'torch.distributed.run', '--nproc_per_node=2', f'--master_port={free_port()}', '--max-restarts=1'),
        *command(killing, tmp_path / 'killed'),
        PYTHONPATH=f'{tmp_path}:.',
    )
    whole, restarted = weights(tmp_path / 'whole'), weights(tmp_path / 'killed')
    logs = [path.read_text() for path in (tmp_path / 'killed').glob('*.log')]
    assert sum('resumed from' in text for text in logs) == 1
    assert whole.keys() == restarted.keys() and all(torch.equal(whole[name], restarted[name]) for name in whole)
