"""The project's own training loop, as such projects have one."""

import copy
from functools import partial

from mmcv.parallel import MMDataParallel, collate
from mmcv.runner import build_runner
from torch.utils.data import DataLoader

from mmdet.core import EvalHook, build_optimizer
from mmdet.datasets import build_dataloader, build_dataset, replace_ImageToTensor
from mmdet.utils import get_root_logger
from semi_supervised.data import BySource, flatten


def collate_flat(batch, samples_per_gpu):
    flat = flatten(batch)
    return collate(flat, samples_per_gpu=len(flat))


def train(model, cfg, steps, resume_from=None):
    cfg = copy.deepcopy(cfg)  # mmcv takes types out of the dicts that it is given
    logger = get_root_logger(log_level='INFO')
    dataset = build_dataset(cfg.data.train)
    loader = DataLoader(
        dataset,
        batch_sampler=BySource(dataset, cfg.data.by_source, steps, cfg.seed),
        collate_fn=partial(collate_flat, samples_per_gpu=1),
    )
    wrapped = MMDataParallel(model, device_ids=[])
    optimizer = build_optimizer(wrapped, cfg.optimizer)
    runner = build_runner(
        dict(type='IterBasedRunner', max_iters=steps),
        default_args=dict(
            model=wrapped, optimizer=optimizer, work_dir=cfg.work_dir, logger=logger, meta=dict(seed=cfg.seed)
        ),
    )
    runner.timestamp = f'until_{steps}'
    runner.register_training_hooks(
        cfg.lr_config,
        cfg.optimizer_config,
        dict(interval=2, by_epoch=False),
        cfg.log_config,
        custom_hooks_config=cfg.get('custom_hooks'),
    )
    val_cfg = cfg.data.val.copy()
    val_cfg.pipeline = replace_ImageToTensor(val_cfg.pipeline)
    val_loader = build_dataloader(
        build_dataset(val_cfg, dict(test_mode=True)), samples_per_gpu=2, workers_per_gpu=0, dist=False, shuffle=False
    )
    runner.register_hook(EvalHook(val_loader, interval=2, by_epoch=False, metric='bbox'), priority='LOW')
    if resume_from:
        runner.resume(str(resume_from), map_location='cpu')
    runner.run([loader], [('train', 1)])
    return runner
