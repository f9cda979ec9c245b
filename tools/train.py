"""Train a detector: ``python tools/train.py CONFIG``."""

import argparse
import copy
import sys
import time
from functools import partial
from pathlib import Path

from mmdet import __version__
from mmdet.apis import init_random_seed, set_random_seed, train_detector
from mmdet.apis.checking.config_check import check_config
from mmdet.apis.checking.layer_widths import check_layers
from mmdet.apis.launch import (
    UserError,
    add_common_arguments,
    config_from_args,
    device_of_run,
    newer_option,
    one_gpu_id,
    reported_errors,
    start_processes,
)
from mmdet.apis.resuming import named_point_after_interrupt, resumed_seed
from mmdet.apis.validation_loss import loss_dataset
from mmdet.apis.written_config import write_config
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils import (
    collect_env,
    compat_cfg,
    get_root_logger,
    rfnext_init_model,
    setup_multi_processes,
)
from mmdet.utils.checkpoints.checkpoint import set_checkpoint_trust
from mmdet.utils.configs.config_error import config_key
from mmdet.utils.running.run_lock import run_lock

import torch
from mmcv import Config, DictAction
from mmcv.runner import get_dist_info


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Train a detector')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go; default: work_dirs/NAME_OF_CONFIG')
    parser.add_argument('--resume-from', help='checkpoint to go on from')
    parser.add_argument('--auto-resume', action='store_true', help='go on from the latest checkpoint of the work dir')
    parser.add_argument('--no-validate', action='store_true', help='no evaluation during training')
    gpus = parser.add_mutually_exclusive_group()
    gpus.add_argument('--gpus', type=int, help='deprecated: one process uses one GPU; see --gpu-id')
    gpus.add_argument('--gpu-ids', type=int, nargs='+', help='deprecated: the first of them is used; see --gpu-id')
    gpus.add_argument('--gpu-id', type=int, default=0, help='the GPU to use (without --launcher)')
    parser.add_argument('--seed', type=int, default=None, help='random seed; default: drawn')
    parser.add_argument('--diff-seed', action='store_true', help='seed + rank on each process')
    parser.add_argument('--deterministic', action='store_true', help='deterministic algorithms of cuDNN')
    parser.add_argument('--options', nargs='+', action=DictAction, help='deprecated name of --cfg-options')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    newer_option(args, 'cfg_options')
    return args


def prepare_config(args: argparse.Namespace) -> Config:
    """The config with the options of the command line in it.

    Raises:
        UserError: an option does not fit the config.
    """
    cfg = config_from_args(args)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=N) in the config')
        cfg.auto_scale_lr.enable = True
    default_dir = cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    cfg.work_dir = args.work_dir or default_dir
    cfg.resume_from = args.resume_from or cfg.get('resume_from')
    cfg.auto_resume = args.auto_resume or cfg.get('auto_resume', False)
    if cfg.resume_from and not Path(cfg.resume_from).expanduser().is_file():
        raise UserError(f'there is no checkpoint {cfg.resume_from} to resume from')
    weights = cfg.get('load_from')
    if isinstance(weights, str) and '://' not in weights and not Path(weights).expanduser().is_file():
        raise UserError(f'load_from: there is no checkpoint {weights}')
    cfg.gpu_ids = [one_gpu_id(args)]
    cfg.device = device_of_run(cfg)
    if cfg.get('cudnn_benchmark', False):
        torch.backends.cudnn.benchmark = True
    return cfg


def check_sections(cfg: Config, validate: bool) -> None:
    """Refuse a config that lacks what no training can do without.

    Raises:
        UserError: it does.
    """
    for key in ('model', 'data', 'optimizer'):
        if not isinstance(cfg.get(key), dict):
            raise UserError(f'{key}: the config needs it, as a dict')
    for split in ('train', 'val') if validate else ('train',):
        if not cfg.data.get(split):
            raise UserError(f'data.{split}: the config needs it' + ('; --no-validate does without' * (split == 'val')))


def seed_of_run(args: argparse.Namespace, cfg: Config) -> int | None:
    """The seed that was asked for, else that of the run which is resumed; None: to be drawn."""
    asked = args.seed if args.seed is not None else cfg.get('seed')
    if asked is not None:
        return asked
    set_checkpoint_trust(cfg.get('trust_checkpoint', False))
    return resumed_seed(cfg)


def workflow_datasets(cfg: Config) -> list:
    """One data set for each entry of the workflow; validation losses see the images as training does."""
    datasets = []
    for mode, _ in cfg.get('workflow', [('train', 1)]):
        if mode != 'train':
            datasets.append(loss_dataset(cfg))
            continue
        with config_key('data.train'):
            datasets.append(build_dataset(copy.deepcopy(cfg.data.train)))
    return datasets


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = prepare_config(args)
    check_sections(cfg, not args.no_validate)
    check_config(compat_cfg(cfg))
    setup_multi_processes(cfg)
    distributed = start_processes(args.launcher, cfg)
    with run_lock(cfg.work_dir), named_point_after_interrupt(cfg.work_dir):
        run(args, cfg, distributed)


def run(args: argparse.Namespace, cfg: Config, distributed: bool) -> None:
    """Train in a work dir that no other run uses."""
    timestamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
    logger = get_root_logger(str(Path(cfg.work_dir, f'{timestamp}.log')), cfg.get('log_level', 'INFO'))
    rank, world_size = get_dist_info()
    if distributed:
        cfg.gpu_ids = list(range(world_size))
    cfg.seed = init_random_seed(seed_of_run(args, cfg), cfg.device)
    name = Path(args.config).name
    meta = dict(env_info=_env_text(), config=cfg.pretty_text, seed=cfg.seed, exp_name=name)
    logger.debug(f'Environment info:\n{meta["env_info"]}')
    logger.debug(f'Config:\n{cfg.pretty_text}')
    set_random_seed(cfg.seed + rank if args.diff_seed else cfg.seed, deterministic=args.deterministic)

    model = build_detector(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
    rfnext_init_model(model, cfg)
    model.init_weights()
    check_layers(model, cfg)  # before data are read
    datasets = workflow_datasets(cfg)
    model.CLASSES = datasets[0].CLASSES
    started = partial(write_config, copy.deepcopy(cfg), name) if rank == 0 else None
    if cfg.get('checkpoint_config') is not None:
        cfg.checkpoint_config.meta = dict(mmdet_version=__version__, CLASSES=model.CLASSES)
    train_detector(model, datasets, cfg, distributed, not args.no_validate, timestamp, meta, started)


def _env_text() -> str:
    return '\n'.join(f'{key}: {value}' for key, value in collect_env().items())


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
