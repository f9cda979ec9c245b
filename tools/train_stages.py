"""Train a two-stage detector in stages: ``python tools/train_stages.py CONFIG``."""

import argparse
import sys
import time
from pathlib import Path

from mmdet.apis import init_random_seed
from mmdet.apis.checking.metrics import metrics_of
from mmdet.apis.launch import (
    add_common_arguments,
    config_from_args,
    one_gpu_id,
    reported_errors,
    start_processes,
)
from mmdet.apis.run_summary import test_command
from mmdet.apis.stages import StagedTraining
from mmdet.apis.written_config import write_config
from mmdet.utils import get_device, get_root_logger, setup_multi_processes
from mmdet.utils.checkpoints.checkpoint import set_checkpoint_trust
from mmdet.utils.running.run_lock import run_lock

from mmcv import Config
from mmcv.runner import get_dist_info


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description="Run the stages that a config's `stages` names; a run that was killed goes on where it was"
    )
    parser.add_argument('config', help='config file with stages=[...]')
    parser.add_argument('--work-dir', help='where everything goes; default: work_dirs/NAME_OF_CONFIG')
    parser.add_argument('--seed', type=int, default=0, help='random seed')
    parser.add_argument('--gpu-id', type=int, default=0, help='the GPU to use (without --launcher)')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    args.gpu_ids = None
    cfg = config_from_args(args)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    cfg.gpu_ids, cfg.device = [one_gpu_id(args)], get_device()
    setup_multi_processes(cfg)
    set_checkpoint_trust(cfg.get('trust_checkpoint', False))
    distributed = start_processes(args.launcher, cfg)
    with run_lock(cfg.work_dir):
        run(args, cfg, distributed)


def run(args: argparse.Namespace, cfg: Config, distributed: bool) -> None:
    """Train in a work dir that no other run uses."""
    timestamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
    logger = get_root_logger(str(Path(cfg.work_dir, f'{timestamp}.log')), cfg.get('log_level', 'INFO'))
    cfg.seed = init_random_seed(args.seed, cfg.device)
    training = StagedTraining(cfg, distributed, logger, timestamp)
    config = Path(cfg.work_dir, Path(args.config).name)
    if get_dist_info()[0] == 0:
        write_config(cfg, config.name)
    training.run()
    logger.info(f'next: {test_command(config, config.with_name("final.pth"), metrics_of(cfg))}')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
