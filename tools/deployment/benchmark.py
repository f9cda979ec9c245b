"""Time a detector side by side: torch, torch.compile, and its exported files by onnxruntime and OpenVINO.

    python tools/deployment/benchmark.py CONFIG CHECKPOINT model.onnx model_int8.onnx --size 480 640

All take the same image in turns, so that what else the machine does slows them alike; medians are printed. The network
and its post-processing are timed, up to arrays by class; reading and resizing images are not. OpenVINO takes part where
it is installed (pip install openvino), with as many threads as torch.
"""

import argparse
import copy
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmdet.apis import init_detector
from mmdet.apis.export import is_onnx
from mmdet.apis.launch import reported_errors

import numpy as np
import torch

WARM_UP = 3  # runs that are not counted: libraries choose their algorithms, compilers work


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('models', nargs='*', help='.onnx files of the same detector')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(480, 640), metavar=('HEIGHT', 'WIDTH'), help='of the image'
    )
    parser.add_argument('--repeats', type=int, default=11, help='timed runs of each')
    parser.add_argument('--device', default='cpu', help='of torch')
    parser.add_argument('--no-compile', action='store_true', help='leave out torch.compile')
    parser.add_argument('--bf16', action='store_true', help='torch in bfloat16 as well')
    parser.add_argument(
        '--channels-last', action='store_true', help='torch with channels_last and fold_norm as well, of --bf16 too'
    )
    args = parser.parse_args(argv)
    names = [Path(path).name for path in args.models]
    if len({*names}) < len(names) or not all(map(is_onnx, names)):
        parser.error(f'expected .onnx files with names of their own, got {" ".join(args.models)}')
    if args.repeats < 1 or min(args.size) < 1:
        parser.error('--repeats and --size must be 1 or more')
    return args


def image_of(size: tuple[int, int], device: str) -> dict[str, Any]:
    """A batch of one image of noise."""
    shape = (*size, 3)
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=np.ones(4, np.float32), flip=False)
    return dict(img=[torch.randn(1, 3, *size, device=device)], img_metas=[[meta]])


def candidates(args: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """What is timed, by name."""
    data = image_of(tuple(args.size), args.device)
    detectors = {
        name: init_detector(args.config, args.checkpoint, args.device, changes)
        for name, changes in torch_variants(args).items()
    }
    if not args.no_compile:
        compiled = init_detector(args.config, args.checkpoint, args.device)
        compiled.backbone = torch.compile(compiled.backbone)
        if compiled.with_neck:
            compiled.neck = torch.compile(compiled.neck)
        detectors['torch.compile'] = compiled
    for path in args.models:
        ending = f' {Path(path).name}' if len(args.models) > 1 else ''
        exported = init_detector(args.config, path)
        detectors[f'onnxruntime{ending}'] = exported
        if importlib.util.find_spec('openvino') is not None:
            by_openvino = copy.copy(exported)
            by_openvino.session = OpenVINOSession(path)
            detectors[f'OpenVINO{ending}'] = by_openvino
    return {name: partial(detector, return_loss=False, **data) for name, detector in detectors.items()}


def torch_variants(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Names of the ways in which torch runs the detector, and the changes to its config."""
    layouts: dict[str, dict[str, Any]] = {'': {}}
    if args.channels_last:
        layouts[' channels last'] = {'model.channels_last': True, 'model.fold_norm': True}
    kinds = {'': {}, ' bf16': {'fp16': dict(dtype='bfloat16')}} if args.bf16 else {'': {}}
    return {f'torch{kind}{layout}': {**a, **b} for kind, a in kinds.items() for layout, b in layouts.items()}


class OpenVINOSession:
    """A file run by OpenVINO, with the one method of onnxruntime's sessions that a detector calls."""

    def __init__(self, path: str) -> None:
        import openvino

        threads = dict(INFERENCE_NUM_THREADS=torch.get_num_threads(), INFERENCE_PRECISION_HINT='f32')
        self.model = openvino.Core().compile_model(path, 'CPU', threads)

    def run(self, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs of these names."""
        found = self.model(feed)
        return [found[name] for name in names]


@torch.no_grad()
def measure(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(WARM_UP + repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()  # results are arrays: a GPU has finished
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Time and print; gives the median seconds of each."""
    args = parse_args(argv)
    medians = measure(candidates(args), args.repeats)
    width = max(map(len, medians)) + 2
    for name, seconds in medians.items():
        print(f'{name:{width}}{1000 * seconds:9.1f} ms {seconds / medians["torch"]:6.2f} of torch')
    return medians


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
