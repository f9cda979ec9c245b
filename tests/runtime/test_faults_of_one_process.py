"""A fault of one process ends the others with its reason; slow figures of rank 0 do not end anybody.

What differs between the processes is what differs between machines: their files, disks, memory and luck.
"""

import os
import re
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.distributed as dist
from mmcv import Config
from mmcv.runner import HOOKS, Hook
from PIL import Image
from tiny import SIDE
from two_processes import run_pairs, run_two

from mmdet.apis import set_random_seed, train_detector
from mmdet.apis.launch import UserError, reported_errors
from mmdet.datasets import CocoDataset, build_dataset
from mmdet.datasets.registry import PIPELINES
from mmdet.models import build_detector
from mmdet.utils.running.group_failure import wait_for_first, watch_for_failures


def nothing(subject: Any) -> None:
    """No fault in this place."""


class Fault(NamedTuple):
    """What goes wrong, on one process."""

    reason: str  # pattern of what the other one says of it
    prepare: Callable[[Config], None] = nothing  # before the run
    strike: Callable[[Any], None] = nothing  # gets the runner, in the second iteration
    rank: int = 1
    told: bool = True  # the process that fails says why in one line; else it has a traceback, or no time for it
    line: str = ''  # pattern of what the other one says of a process that cannot give a reason any more


def fail_option(runner):
    raise UserError('--option is wrong')


def fail_loss(runner):
    runner.outputs['log_vars']['loss_cls'] = float('nan')


def fail_code(runner):
    return {}['no such key']


def fail_memory(runner):
    raise torch.cuda.OutOfMemoryError('Tried to allocate 20 GiB')


def die(runner):
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk(runner):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


@PIPELINES.register_module(force=True)
class DyingStep:
    """Ends the process that loads, unless that is the one of the run."""

    def __call__(self, results):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return results


def kill_loading_process(cfg):
    cfg.data.workers_per_gpu = 1
    cfg.data.train.pipeline.insert(1, dict(type='DyingStep'))


def put_images(write, cfg):
    """Let the images be those of a folder of their own."""
    folder = Path(cfg.work_dir).parent / 'images'
    folder.mkdir()
    for i in range(8):
        write(folder / f'{i}.png')
    cfg.data.train.img_prefix = str(folder)
    cfg.data.train.pipeline[0].color_type = 'unchanged'


def write_nan(path):
    image = np.full((SIDE, SIDE), 100, np.float32)
    image[3, 4] = np.nan
    Image.fromarray(image).save(path, 'TIFF')  # OpenCV 4 writes zeros


def write_cut_jpeg(path):
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode('.jpg', image)[1].tobytes()[:100])


def damage_checkpoint(cfg):
    path = Path(cfg.work_dir).parent / 'damaged.pth'
    path.write_bytes(Path(cfg.resume_from).read_bytes()[:-2000])
    cfg.resume_from = str(path)


def lose_annotations(split, cfg):
    cfg.data[split].ann_file = '/no/such/ann.json'


def lose_val_images(cfg):
    cfg.data.val.img_prefix = '/no/such/folder'


def no_figures(self, results, **settings):
    raise FileNotFoundError(2, 'No such file or directory', 'figures.txt')


def fail_figures(cfg):
    CocoDataset.evaluate = no_figures


def put_work_dir_into_file(cfg):
    Path(cfg.work_dir).with_name('file').touch()
    cfg.work_dir = str(Path(cfg.work_dir).with_name('file') / 'work')


FAULTS = {
    'an option': Fault('--option is wrong', strike=fail_option),
    'a loss': Fault('iteration 4 .*loss_cls=nan not finite', strike=fail_loss),
    'code': Fault("KeyError: 'no such key'", strike=fail_code, told=False),
    'memory of the device': Fault('out of memory in iteration 4: .*samples_per_gpu', strike=fail_memory),
    'an image that is missing': Fault(r'.*/images/\d\.png', partial(put_images, nothing)),
    'a pixel that is NaN': Fault(r'.*/images/\d\.png: 1 pixels are infinite or NaN', partial(put_images, write_nan)),
    'a JPEG without its data': Fault(
        r'cannot decode image file .*/images/\d\.png', partial(put_images, write_cut_jpeg)
    ),
    'a loading process that is killed': Fault('.*loading process.* killed', kill_loading_process),
    'a damaged checkpoint': Fault('.*damaged.pth', damage_checkpoint),
    'an annotation file that is missing': Fault('.*/no/such/ann.json', partial(lose_annotations, 'train')),
    'an annotation file of the evaluation': Fault('.*/no/such/ann.json', partial(lose_annotations, 'val')),
    'an image of the evaluation': Fault(r'.*/no/such/folder/\d.png', lose_val_images),
    'figures': Fault('.*figures.txt', fail_figures, rank=0),
    'a disk that is full': Fault('.*epoch_2.pth could not be written: File too large', strike=fill_disk, rank=0),
    'a work dir that cannot be made': Fault('.*/file/work: Not a directory', put_work_dir_into_file, rank=0),
    'a process that is killed': Fault('', strike=die, told=False, line='error: the connection to another process'),
}


@HOOKS.register_module(force=True)
class FaultHook(Hook):
    """Does something wrong in the second iteration of the epoch, on the process that has the fault."""

    strike = staticmethod(nothing)

    def after_train_iter(self, runner):
        if runner.inner_iter == 1:
            FaultHook.strike(runner)


def train(rank, cfg, fault):
    if rank == fault.rank:
        fault.prepare(cfg)
        FaultHook.strike = staticmethod(fault.strike)
    watch_for_failures()
    with reported_errors():
        set_random_seed(1)
        model = build_detector(cfg.model)
        train_detector(model, build_dataset(cfg.data.train), cfg, True, validate=True, timestamp='log', meta={})


def config(run, folder):
    """The second epoch of a run, in a work dir of its own."""
    cfg = Config.fromfile(str(run / 'tiny.py'))
    folder.mkdir()
    own = dict(seed=1, device='cpu', gpu_ids=[0], work_dir=str(folder / 'work'), audit=dict(enable=False))
    cfg.merge_from_dict(dict(own, log_config=dict(hooks=[]), custom_hooks=[dict(type='FaultHook', priority=5)]))
    cfg.merge_from_dict({'evaluation.start': 2, 'resume_from': str(run / 'work/epoch_1.pth')})
    return cfg


def test_others_end_with_the_reason_of_the_first(tiny_run, tmp_path):
    calls = {name: (config(tiny_run, tmp_path / name), fault) for name, fault in FAULTS.items()}
    for name, ends in run_pairs(calls, train, tmp_path).items():
        fault = FAULTS[name]
        (own_code, own_text), (code, text) = ends[fault.rank], ends[1 - fault.rank]
        lines = text.strip().splitlines()
        assert (code, own_code) == (1, 1 if fault.told else own_code) and 'Traceback' not in text, (name, ends)
        pattern = f'error: the run ends, since another process has failed: process {fault.rank}: {fault.reason}'
        assert lines and re.match(fault.line or pattern, lines[-1]), (name, ends)
        assert not fault.told or re.match(f'error: {fault.reason}', own_text.strip().splitlines()[-1]), (name, ends)


def wait_and_meet(rank):
    if rank == 0:
        time.sleep(2.5)
    wait_for_first('figures')
    dist.barrier()


def test_figures_of_one_process_may_take_longer_than_the_backend_waits(tmp_path):
    ends = run_two(wait_and_meet, tmp_path, group_timeout=1)
    assert ends == [(0, '')] * 2
