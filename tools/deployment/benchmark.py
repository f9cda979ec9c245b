"""Time a detector side by side: torch, torch.compile, and its exported file by onnxruntime and OpenVINO.

    python tools/deployment/benchmark.py CONFIG CHECKPOINT model.onnx --size 480 640

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
from typing import Any

from mmdet.apis import init_detector
from mmdet.apis.launch import reported_errors

import numpy as np
import torch

WARM_UP = 3  # runs that are not counted: libraries choose their algorithms, compilers work


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('model', nargs='?', help='.onnx file of the same detector')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(480, 640), metavar=('HEIGHT', 'WIDTH'), help='of the image'
    )
    parser.add_argument('--repeats', type=int, default=11, help='timed runs of each')
    parser.add_argument('--device', default='cpu', help='of torch')
    parser.add_argument('--no-compile', action='store_true', help='leave out torch.compile')
    args = parser.parse_args(argv)
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
    model = init_detector(args.config, args.checkpoint, args.device)
    found = {'torch': lambda: model(return_loss=False, **data)}
    if not args.no_compile:
        compiled = init_detector(args.config, args.checkpoint, args.device)
        compiled.backbone = torch.compile(compiled.backbone)
        if compiled.with_neck:
            compiled.neck = torch.compile(compiled.neck)
        found['torch.compile'] = lambda: compiled(return_loss=False, **data)
    if args.model:
        exported = init_detector(args.config, args.model)
        found['onnxruntime'] = lambda: exported(return_loss=False, **data)
        if importlib.util.find_spec('openvino') is not None:
            by_openvino = copy.copy(exported)
            by_openvino.session = OpenVINOSession(args.model)
            found['OpenVINO'] = lambda: by_openvino(return_loss=False, **data)
    return found


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
    for name, seconds in medians.items():
        print(f'{name:15}{1000 * seconds:9.1f} ms {seconds / medians["torch"]:6.2f} of torch')
    return medians


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
