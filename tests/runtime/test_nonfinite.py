"""A run that diverges stops and keeps what was good."""

import re
import shutil

import torch
from process import python
from tiny import ROOT

# a checkpoint brings its learning rate along, so that a hook must set another
HOOK = """
from mmcv.runner import HOOKS, Hook

@HOOKS.register_module()
class Diverge(Hook):
    def before_train_iter(self, runner):
        runner.optimizer.param_groups[0]['lr'] = 1e30
"""
CONFIG = """
_base_ = '{base}'
custom_imports = dict(imports=['diverge'])
custom_hooks = [dict(type='Diverge')]
checkpoint_config = dict(max_keep_ckpts=1)
optimizer_config = dict(grad_clip=None)
"""


def test_diverging_run_stops_in_one_line_and_keeps_the_last_good_checkpoint(tiny_run, tmp_path):
    work = shutil.copytree(tiny_run / 'work', tmp_path / 'work', symlinks=True)
    (tmp_path / 'diverge.py').write_text(HOOK)
    (tmp_path / 'cfg.py').write_text(CONFIG.format(base=tiny_run / 'tiny.py'))
    done = python(
        *('tools/train.py', tmp_path / 'cfg.py', '--work-dir', work, '--resume-from', work / 'epoch_1.pth'),
        check=False,
        PYTHONPATH=f'{ROOT}:{tmp_path}',
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith('error: iteration '), done.stderr[-2000:]
    assert 'not finite' in last and re.search(r'\d\.png: 3x64x64 pixels from', last)
    assert f'last good checkpoint is {work}' in last
    for path in work.glob('*.pth'):
        state = torch.load(path, weights_only=True)['state_dict']
        assert all(torch.isfinite(value).all() for value in state.values()), path
