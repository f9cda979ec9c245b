"""Test a detector: ``python tools/test.py CONFIG CHECKPOINT --eval bbox``."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mmdet.apis import multi_gpu_test, single_gpu_test
from mmdet.apis.checking.metrics import check_evaluation
from mmdet.apis.checking.unknown_keys import check_known_keys
from mmdet.apis.checks import audit, check_sample
from mmdet.apis.export import ONNXDetector, is_onnx
from mmdet.apis.inference import leave_out_pretrained
from mmdet.apis.launch import (
    UserError,
    add_common_arguments,
    config_from_args,
    device_of_run,
    fraction,
    newer_option,
    one_gpu_id,
    reported_errors,
    start_processes,
)
from mmdet.apis.loaders import batch_test_pipeline, innermost, loader_args
from mmdet.apis.results import (
    check_formatting,
    evaluation_settings,
    format_all,
    kept_part,
    kept_results,
)
from mmdet.datasets import build_dataloader, build_dataset
from mmdet.models import build_detector
from mmdet.utils import (
    build_ddp,
    build_dp,
    compat_cfg,
    get_root_logger,
    load_checkpoint,
    rfnext_init_model,
    setup_multi_processes,
)
from mmdet.utils.checkpoints.checkpoint import check_classes
from mmdet.utils.configs.config_error import config_key
from mmdet.utils.plain_data import NPZ, PICKLES
from mmdet.utils.running.amp import amp_dtype, enable_autocast
from mmdet.utils.running.parallel import module_device

import mmcv
import torch
from mmcv import Config, DictAction
from mmcv.cnn import fuse_conv_bn
from mmcv.runner import get_dist_info
from torch import nn
from torch.utils.data import DataLoader

ALLOW_PARTIAL = 'Give the checkpoint of this config; --allow-partial tests with it all the same.'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Test (and evaluate) a detector')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file, or an .onnx file of tools/deployment/export.py')
    parser.add_argument('--work-dir', help='where the metrics are written as JSON')
    parser.add_argument(
        '--allow-partial', action='store_true', help='test with a checkpoint that lacks weights or has other classes'
    )
    parser.add_argument(
        '--skip-broken', action='store_true', help='name, count and leave out images that cannot be read'
    )
    parser.add_argument('--out', help='write all results to this .npz (or .pkl) file')
    parser.add_argument('--fuse-conv-bn', action='store_true', help='fold batch norm into convolutions: a bit faster')
    parser.add_argument('--gpu-ids', type=int, nargs='+', help='deprecated: the first of them is used; see --gpu-id')
    parser.add_argument('--gpu-id', type=int, default=0, help='the GPU to use (without --launcher)')
    parser.add_argument('--format-only', action='store_true', help='write result files for a test server only')
    parser.add_argument('--eval', type=str, nargs='+', help='metrics, e.g. bbox segm proposal (COCO), mAP recall (VOC)')
    parser.add_argument('--show', action='store_true', help='open a window for each image')
    parser.add_argument('--show-dir', help='write a picture for each image there')
    parser.add_argument('--show-score-thr', type=fraction, default=0.3, help='draw detections from this score on')
    parser.add_argument('--gpu-collect', action='store_true', help='collect results by messages instead of files')
    parser.add_argument('--tmpdir', help='folder for collecting results by files')
    parser.add_argument('--options', nargs='+', action=DictAction, help='deprecated name of --eval-options')
    parser.add_argument(
        '--eval-options', nargs='+', action=DictAction, help="arguments of the data set's evaluation, key=value"
    )
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    newer_option(args, 'eval_options')
    return args


def existing_folder(path: str) -> Path:
    """The innermost folder of a path that is there."""
    return next(parent for parent in Path(path).absolute().parents if parent.is_dir())


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is loaded.

    Raises:
        UserError: see there.
    """
    if not (args.out or args.eval or args.format_only or args.show or args.show_dir):
        raise UserError('nothing to do: give at least one of --out, --eval, --format-only, --show, --show-dir')
    if args.eval and args.format_only:
        raise UserError('--eval and --format-only cannot be given together')
    if args.out and not Path(args.out).suffix:
        args.out += NPZ
    if args.out and not args.out.endswith((NPZ, *PICKLES)):
        raise UserError(f'--out must end in .npz (or .pkl, as files of mmdetection 2.x), got {args.out}')
    if args.out and not os.access(existing_folder(args.out), os.W_OK):
        raise UserError(f'--out: {existing_folder(args.out)} cannot be written to')
    if args.launcher != 'none' and (args.show or args.show_dir):
        raise UserError('--show and --show-dir work in one process only (--launcher none)')
    if '://' not in args.checkpoint and not Path(args.checkpoint).expanduser().is_file():
        raise UserError(f'there is no checkpoint {args.checkpoint}')


def prepare_config(args: argparse.Namespace) -> Config:
    """The config in today's keys, with the options of the command line in it."""
    cfg = config_from_args(args)
    cfg.setdefault('runner', dict(type='EpochBasedRunner', max_epochs=cfg.get('total_epochs', 1)))
    cfg = compat_cfg(cfg)
    leave_out_pretrained(cfg.model)
    if args.skip_broken:
        for part in innermost(cfg.data.test):
            part.skip_broken = True
    cfg.model.train_cfg = None
    cfg.gpu_ids = [one_gpu_id(args)]
    cfg.device = device_of_run(cfg)
    if cfg.get('cudnn_benchmark', False):
        torch.backends.cudnn.benchmark = True
    return cfg


def build_test_loader(cfg: Config, distributed: bool) -> DataLoader:
    """The loader of ``cfg.data.test``."""
    args = loader_args(cfg.data.test_dataloader, samples_per_gpu=1, workers_per_gpu=2, dist=distributed, shuffle=False)
    with config_key('data.test'):
        dataset = build_dataset(batch_test_pipeline(cfg.data.test, args['samples_per_gpu']), dict(test_mode=True))
    return build_dataloader(dataset, **args)


def build_model(cfg: Config, args: argparse.Namespace, dataset: Any) -> nn.Module:
    """The detector with its weights, before it is wrapped."""
    model = build_detector(cfg.model, test_cfg=cfg.get('test_cfg'))
    rfnext_init_model(model, cfg)
    trusted, advice = cfg.get('trust_checkpoint', False), None if args.allow_partial else ALLOW_PARTIAL
    checkpoint = load_checkpoint(model, args.checkpoint, 'cpu', trusted=trusted, complete=advice)
    if advice and cfg.model.type != 'RPN':  # whose classes do not matter
        check_classes(checkpoint.get('meta', {}).get('CLASSES'), dataset.CLASSES, args.checkpoint, advice)
    if args.fuse_conv_bn:
        model = fuse_conv_bn(model)
    # old checkpoints do not name their classes
    model.CLASSES = checkpoint.get('meta', {}).get('CLASSES') or dataset.CLASSES
    return model.eval()


def run(model: nn.Module, loader: DataLoader, cfg: Config, args: argparse.Namespace, distributed: bool) -> list | None:
    """Results of all images; None on other processes than the first."""
    model = model.to(cfg.device)
    if cfg.get('fp16'):
        enable_autocast(model, amp_dtype(cfg.fp16.get('dtype', 'float16'), module_device(model)))
    results: list = []
    with kept_part(results, len(loader.dataset), args.work_dir or tempfile.gettempdir()):
        if not distributed:
            wrapped = build_dp(model, cfg.device, device_ids=cfg.gpu_ids)
            return single_gpu_test(wrapped, loader, args.show, args.show_dir, args.show_score_thr, results)
        settings = cfg.get('evaluation', {})
        tmpdir, by_messages = args.tmpdir or settings.get('tmpdir'), args.gpu_collect or settings.get('gpu_collect')
        wrapped = build_ddp(model, cfg.device, broadcast_buffers=False)
        return multi_gpu_test(wrapped, loader, tmpdir, bool(by_messages), results)


def check_evaluation_options(cfg: Config, args: argparse.Namespace) -> None:
    """Check keys of the config, and metrics and options against the data set's class, before anything is loaded.

    Raises:
        ConfigKeyError: one is not known.
    """
    check_known_keys(cfg)
    if args.eval:
        settings = {**evaluation_settings(cfg, args.eval, args.eval_options), 'save_best': None}
        check_evaluation(settings, cfg.data.test, '--eval')


def report(results: list, dataset: Any, cfg: Config, args: argparse.Namespace) -> None:
    """Write and evaluate the results as the options ask."""
    options = dict(args.eval_options or {})
    if args.format_only:
        format_all(dataset, results, options)
    if args.eval:
        metric = dataset.evaluate(results, **evaluation_settings(cfg, args.eval, options))
        print(metric)
        if args.work_dir:
            stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
            mmcv.mkdir_or_exist(args.work_dir)
            mmcv.dump(dict(config=args.config, metric=metric), str(Path(args.work_dir, f'eval_{stamp}.json')))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_args(args)
    cfg = prepare_config(args)
    check_evaluation_options(cfg, args)
    setup_multi_processes(cfg)
    distributed = start_processes(args.launcher, cfg)
    logger = get_root_logger(log_level=cfg.get('log_level', 'INFO'))
    exported = ONNXDetector(args.checkpoint, cfg, cfg.gpu_ids[0]).eval() if is_onnx(args.checkpoint) else None
    # a file may take images as they are read: its config has the pipeline that makes them
    loader = build_test_loader(cfg if exported is None else exported.cfg, distributed)
    model = build_model(cfg, args, loader.dataset) if exported is None else exported
    audit(loader.dataset, model, cfg, logger)
    check_sample(loader.dataset, model, 'data.test')
    if args.format_only:
        check_formatting(loader.dataset, dict(args.eval_options or {}))
    results = run(model, loader, cfg, args, distributed)
    if get_dist_info()[0] == 0 and (args.out or args.eval or args.format_only):
        with kept_results(results, args.work_dir or tempfile.gettempdir(), args.out):
            report(results, loader.dataset, cfg, args)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
