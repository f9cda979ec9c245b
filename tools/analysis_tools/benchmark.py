"""Measure the speed of inference on ``data.test``, image by image.

    python tools/analysis_tools/benchmark.py CONFIG CHECKPOINT --repeat-num 3

Loading the images is not counted; the network, its post-processing and the result's way back to the CPU are. The first
images, on which libraries choose their algorithms, are not counted either.
"""

import argparse
import statistics
import sys
import time

from mmdet.apis import init_detector
from mmdet.apis.launch import UserError, add_common_arguments, config_from_args, reported_errors, start_processes
from mmdet.apis.results import build_test_dataset
from mmdet.datasets import build_dataloader
from mmdet.utils import get_device, setup_multi_processes
from mmdet.utils.running.parallel import unpack

import torch
from mmcv import Config
from mmcv.cnn import fuse_conv_bn
from torch import nn
from torch.utils.data import DataLoader

WARM_UP = 5  # images


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--repeat-num', type=int, default=1, help='measure so many times')
    parser.add_argument('--max-iter', type=int, default=2000, help='at most so many images each time')
    parser.add_argument('--log-interval', type=int, default=50, help='print after each so many images')
    parser.add_argument('--fuse-conv-bn', action='store_true', help='fold batch norm into convolutions: a bit faster')
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if min(args.repeat_num, args.max_iter, args.log_interval) < 1:
        parser.error('--repeat-num, --max-iter and --log-interval must be 1 or more')
    return args


def build_loader(cfg: Config, distributed: bool) -> DataLoader:
    """One image at a time of ``data.test``, in order."""
    return build_dataloader(
        build_test_dataset(cfg),
        samples_per_gpu=1,
        workers_per_gpu=cfg.data.get('workers_per_gpu', 2),
        dist=distributed,
        shuffle=False,
    )


def synchronised_clock(device: torch.device) -> float:
    """Seconds, read when all that was asked of the device is done."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.no_grad()
def measure(model: nn.Module, loader: DataLoader, max_iter: int, log_interval: int) -> float:
    """Mean seconds an image.

    Args:
        model: on its device, in evaluation mode.
        loader: gives one image at a time.
        max_iter: at most so many images, with those of the warm-up.
        log_interval: print after each so many images.

    Raises:
        UserError: not more images than the warm-up needs.
    """
    device = next(model.parameters()).device
    seconds = []
    for i, data in enumerate(loader):
        if i == max_iter:
            break
        data = unpack(data, device)
        start = synchronised_clock(device)
        model(return_loss=False, rescale=True, **data)
        seconds.append(synchronised_clock(device) - start)
        counted = seconds[WARM_UP:]
        if counted and (i + 1) % log_interval == 0:
            print(f'image {i + 1}: {1 / statistics.fmean(counted):.1f} images/s', flush=True)
    if len(seconds) <= WARM_UP:
        raise UserError(f'{len(seconds)} images are too few: the first {WARM_UP} only warm up')
    return statistics.fmean(seconds[WARM_UP:])


def main(argv: list[str] | None = None) -> list[float]:
    """Run the command; gives the images a second of each repetition."""
    args = parse_args(argv)
    cfg = config_from_args(args)
    setup_multi_processes(cfg)
    distributed = start_processes(args.launcher, cfg)
    torch.backends.cudnn.benchmark = bool(cfg.get('cudnn_benchmark', False))
    model = init_detector(cfg, args.checkpoint, device=get_device())
    if args.fuse_conv_bn:
        model = fuse_conv_bn(model)
    speeds = []
    for number in range(args.repeat_num):
        seconds = measure(model, build_loader(cfg, distributed), args.max_iter, args.log_interval)
        speeds.append(1 / seconds)
        print(f'run {number + 1}: {speeds[-1]:.1f} images/s, {1000 * seconds:.1f} ms an image')
    if len(speeds) > 1:
        print(f'mean of {len(speeds)} runs: {statistics.fmean(speeds):.1f} +- {statistics.stdev(speeds):.1f} images/s')
    return speeds


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
