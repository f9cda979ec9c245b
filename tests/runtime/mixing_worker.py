"""Runs on each of two processes: a mixture's batches, and losses by source where the processes see other sources."""

import sys

import numpy as np
import torch
import torch.distributed as dist
from ddp_worker import EMPTY, FULL, batch, same_on_all
from mmcv import Config

from mmdet.datasets import build_dataloader, build_dataset
from mmdet.datasets.mixing.sources import find_sources
from mmdet.models import build_detector
from mmdet.models.source_log import SourceLog
from mmdet.utils import build_ddp

LOSSES = 'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'


def gather(value: object) -> list:
    """The values of all processes."""
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def check_batches(cfg: Config) -> None:
    dataset = build_dataset(cfg.data.train)
    owner = find_sources(dataset).owner
    loader = build_dataloader(dataset, 2, 0, dist=True, seed=None, source_ratio=[1, 1])
    for epoch in range(2):
        loader.batch_sampler.sampler.set_epoch(epoch)
        own = [list(indices) for indices in loader.batch_sampler]
        assert len(own) == len(loader) == 4
        assert all(sorted(owner[i] for i in indices) == [0, 1] for indices in own)
        seen = np.bincount([i for share in gather(own) for indices in share for i in indices], minlength=len(owner))
        assert (seen[:8] == 1).all() and (seen[8:] == 2).all(), seen  # two seeds would not cover all images


def check_log(cfg: Config, rank: int) -> None:
    torch.manual_seed(0)
    model = build_detector(cfg.model)
    model.source_log = SourceLog(model, ['real', 'synthetic'])
    model = build_ddp(model, 'cpu', broadcast_buffers=False)
    for truth in (FULL, EMPTY):
        meta = {'source': ['real', 'synthetic'][rank]}
        log = model.train_step(batch(FULL if rank == 0 else truth, meta, rank), None)['log_vars']
        assert same_on_all(log)
        for name in LOSSES:
            assert np.isclose(log[f'{name}/real'] + log[f'{name}/synthetic'], log[name], rtol=1e-5), name
        assert log['images/real'] == log['images/synthetic'] == 0.5  # means over the processes
        assert log['loss_rpn_cls/synthetic'] > 0 and (log['pos/synthetic'] > 0) == (truth is FULL)


if __name__ == '__main__':
    dist.init_process_group('gloo')
    config = Config.fromfile(sys.argv[1])
    check_batches(config)
    check_log(config, dist.get_rank())
    dist.barrier()
    if dist.get_rank() == 0:
        print('all processes agree')
    dist.destroy_process_group()
