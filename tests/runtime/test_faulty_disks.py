"""Disks that take no more and rights that are lost in the middle of a run: one line, and the last good checkpoint."""

import re
import shutil

import pytest
import torch
from process import environment, forked

# the tests may run as root, who may write everywhere: that process becomes another user
HOOKS = """
import logging, os, resource
from pathlib import Path
from mmcv.runner import HOOKS, Hook


@HOOKS.register_module()
class FaultyDiskHook(Hook):
    def __init__(self, fault):
        self.fault = getattr(self, fault)

    def after_train_iter(self, runner):  # in front of the loggers
        if runner.inner_iter == 0:
            self.fault(Path(runner.work_dir))

    def fill(self, work):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    def fill_log(self, work):
        log = next(h for h in logging.getLogger('mmdet').handlers if isinstance(h, logging.FileHandler))
        os.dup2(os.open('/dev/full', os.O_WRONLY), log.stream.fileno())

    def forbid(self, work):
        work.chmod(0o500)
        if os.geteuid() == 0:
            os.seteuid(65534)

    def replace(self, work):
        work.rename(work.with_name('moved'))
        work.touch()
"""
ADDED = """
_base_ = '{base}'
custom_imports = dict(imports=['faulty_disk'])
custom_hooks = [dict(type='FaultyDiskHook', fault='{fault}')]
log_config = dict(_delete_=True, interval=1, hooks=[dict(type='TextLoggerHook')])
"""
KEPT = 'checkpoints that were whole before stay'
FAULTS = {
    'fill': r'.*epoch_2\.pth could not be written: File too large\. The last whole checkpoint is .*epoch_1\.pth',
    'fill_log': rf'.*work/\w+\.log: No space left on device; {KEPT}',
    'forbid': rf'.*work.*: Permission denied; {KEPT}',
    'replace': rf'.*work.*: Not a directory; {KEPT}',
}


@pytest.mark.parametrize('fault', FAULTS)
def test_fault_of_the_disk_ends_in_one_line_and_keeps_the_last_checkpoint(tiny_run, tmp_path, fault):
    work = shutil.copytree(tiny_run / 'work', tmp_path / 'work', symlinks=True)
    (work / 'latest.pth').unlink()
    (work / 'epoch_2.pth').unlink()
    (work / 'latest.pth').symlink_to('epoch_1.pth')
    (tmp_path / 'faulty_disk.py').write_text(HOOKS)
    (tmp_path / 'faulty.py').write_text(ADDED.format(base=tiny_run / 'tiny.py', fault=fault))
    command = ('tools/train.py', tmp_path / 'faulty.py', '--work-dir', work, '--no-validate', '--auto-resume')
    failed = forked([*map(str, command)], environment(), [str(tmp_path)])
    errors = [line for line in failed.stderr.splitlines() if line.startswith('error: ')]
    assert failed.returncode == 1 and not re.search('Traceback|Exception', failed.stderr), failed.stderr
    assert len(errors) == 1 and re.match(f'error: {FAULTS[fault]}', errors[0]), errors
    kept = tmp_path / 'moved' if fault == 'replace' else work
    assert torch.load(kept / 'latest.pth', weights_only=True)['meta']['epoch'] == 1
