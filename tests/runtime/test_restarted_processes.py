"""Processes that torchrun restarts go on by themselves."""

import torch
from process import python
from test_two_processes import free_port
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


def train(config, work, folder, restarts=0):
    python(
        *('-m', 'torch.distributed.run', '--nproc_per_node=2', f'--master_port={free_port()}'),
        *(f'--max-restarts={restarts}', 'tools/train.py', config, '--launcher', 'pytorch', '--seed', 3),
        *('--work-dir', work, '--no-validate'),
        PYTHONPATH=f'{folder}:.',
    )
    return torch.load(work / 'latest.pth', weights_only=True)['state_dict']


def test_restarted_job_ends_with_the_weights_of_an_undisturbed_one(tiny_data, tmp_path):
    (tmp_path / 'kill_once.py').write_text(KILL)
    whole = train(write_config(tiny_data), tmp_path / 'whole', tmp_path)
    killing = write_config(tiny_data, ADDED.format(module='kill_once', hook='KillOnceHook'))
    restarted = train(killing, tmp_path / 'killed', tmp_path, restarts=1)
    logs = [path.read_text() for path in (tmp_path / 'killed').glob('*.log')]
    assert sum('resumed from' in text for text in logs) == 1
    assert whole.keys() == restarted.keys() and all(torch.equal(whole[name], restarted[name]) for name in whole)
