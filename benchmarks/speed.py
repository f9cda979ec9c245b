"""Time training steps and inference against torchvision's models of the same architecture.

    python benchmarks/speed.py --device cpu --sizes 320x320 --batches 2 --runs 5
    python benchmarks/speed.py --device cuda --models faster_rcnn mask_rcnn retinanet --batches 1 2 8 \\
        --sizes 320x320 640x640 800x1344 --dtypes fp32 bf16 --growth \\
        --options "dict(channels_last=True, fold_norm=True, fixed_size=True)"
    python benchmarks/speed.py --roi-align
    python benchmarks/speed.py --targets
    python benchmarks/speed.py --vs /path/to/other/python

Both sides get the same images and boxes in one process, in turn (A B A B ...), so that a drift of the machine's speed
meets both; the tables give medians, and the median of the ratios of the pairs. Weights are random: speed does not
depend on them, but the number of proposals does, so it is set alike. YOLOX, which torchvision has no like of, is timed
alone. The overhead factor is the time of a step divided by the time of its convolutions and matrix products with all
that these call, by torch's profiler. With ``--processor-time`` seconds are those that the process got from the
processor: on a CPU that other work shares, with one thread (``OMP_NUM_THREADS=1``), only these can be compared.
"""

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

from mmdet.ops import roi_align

import torch
import torchvision
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(__file__).rsplit('/', 1)[0])
from speed_models import (  # noqa: E402 - beside this file
    MODELS,
    WITHOUT_LIKE,
    Batch,
    Case,
    Side,
    boxes_of_all_sizes,
    made_batch,
    own_side,
    torchvision_side,
)

MATRIX_WORK = ('convolution', 'conv2d', 'aten::mm', 'aten::addmm', 'aten::bmm', 'aten::baddbmm', 'aten::linear')
GROWTH = dict(boxes=(1, 10, 100, 1000), proposals=(100, 1000, 2000), classes=(80, 1203))
AREAS = ((320, 320), (640, 640), (800, 1344))


class Clock:
    """Seconds of calls on a device."""

    def __init__(self, device: str, processor_time: bool) -> None:
        self.cuda = device.startswith('cuda')
        self.now = time.process_time if processor_time else time.perf_counter

    def __call__(self, call: Callable[[], object]) -> float:
        if self.cuda:
            torch.cuda.synchronize()
        start = self.now()
        call()
        if self.cuda:
            torch.cuda.synchronize()
        return self.now() - start

    def pairs(self, own: Callable, other: Callable, runs: int) -> tuple[float, float, float]:
        """Median seconds of both sides, and the median of the pairs' ratios; after one warm-up."""
        own(), other()
        pairs = [(self(own), self(other)) for _ in range(runs)]
        a, b = (statistics.median(side) for side in zip(*pairs))
        return a, b, statistics.median(x / y for x, y in pairs)


def overhead_and_memory(call: Callable[[], object], device: str) -> tuple[float, float]:
    """Overhead factor, and peak MB (on a CPU: of tensors that the call itself makes)."""
    cuda = device.startswith('cuda')
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with profile(activities=activities, profile_memory=not cuda) as prof:
        call()
    kind = 'self_device_time_total' if cuda else 'self_cpu_time_total'
    total = matrix = 0.0
    for event in prof.events():
        total += getattr(event, kind)
        # a convolution copies its maps and clears its results by operators of other names
        matrix += getattr(event, kind) if any(map(is_matrix_work, with_callers(event))) else 0
    factor = total / max(matrix, 1)
    if cuda:
        return factor, torch.cuda.max_memory_allocated() / 2**20
    held = peak = 0
    for event in prof.profiler.kineto_results.events():
        if event.name() == '[memory]':
            held += event.nbytes()
            peak = max(peak, held)
    return factor, peak / 2**20


def with_callers(event: Any) -> Iterator[Any]:
    """An event of the profiler, what called it, what called that ..."""
    while event is not None:
        yield event
        event = event.cpu_parent


def is_matrix_work(event: Any) -> bool:
    """Whether an event of the profiler is a convolution or a matrix product."""
    return any(part in event.name for part in MATRIX_WORK)


def compare(case: Case, args: argparse.Namespace) -> list[str]:
    """Rows of the table: training step and inference of one case."""
    clock, batch = Clock(args.device, args.processor_time), made_batch(case, args.device)
    own = own_side(case, args.device, args.options)
    if case.model in WITHOUT_LIKE:
        return [alone_row(case, what, partial(getattr(own, what), batch), clock, args) for what in args.steps]
    other = torchvision_side(case, args.device)
    rows = []
    for what in args.steps:
        calls = [partial(getattr(side, what), batch) for side in (own, other)]
        a, b, ratio = clock.pairs(*calls, args.runs)
        (factor, memory), (other_factor, other_memory) = (overhead_and_memory(call, args.device) for call in calls)
        rows.append(
            f'| {case.name} {what} | {a:.3f} | {b:.3f} | {ratio:.2f} | {case.batch / a:.2f} | {factor:.2f} '
            f'| {other_factor:.2f} | {memory:.0f} | {other_memory:.0f} |'
        )
    return rows


def alone_row(case: Case, what: str, call: Callable[[], object], clock: Clock, args: argparse.Namespace) -> str:
    """The row of a step that torchvision has no like of."""
    call()
    seconds = statistics.median(clock(call) for _ in range(args.runs))
    factor, memory = overhead_and_memory(call, args.device)
    rate = case.batch / seconds
    return f'| {case.name} {what} | {seconds:.3f} | - | - | {rate:.2f} | {factor:.2f} | - | {memory:.0f} | - |'


def growth_cases(case: Case) -> list[Case]:
    """A case with one thing changed at a time."""
    changed = [case._replace(**{key: value}) for key, values in GROWTH.items() for value in values]
    return changed + [case._replace(size=size) for size in AREAS]


def targets_in_step(side: Side, batch: Batch, clock: Clock) -> tuple[float, float]:
    """Seconds of assignment, sampling and targets of the dense heads in a training step, and of the whole step."""
    spent = []

    def timed(call: Callable, *args: object, **kwargs: object) -> object:
        results: list = []
        spent.append(clock(lambda: results.append(call(*args, **kwargs))))
        return results[0]

    heads = [part for part in side.model.modules() if hasattr(part, 'assigner') and hasattr(part, 'get_targets')]
    with ExitStack() as stack:
        for head in heads:
            stack.enter_context(patch.object(head, 'get_targets', partial(timed, head.get_targets)))
        step = clock(partial(side.train, batch))
    return sum(spent), step


def targets_by_boxes(case: Case, args: argparse.Namespace) -> list[str]:
    """Rows of the table: targets of the dense heads for more and more boxes, and the step that they are part of."""
    clock, rows = Clock(args.device, args.processor_time), []
    side = own_side(case, args.device, args.options)
    for boxes in GROWTH['boxes']:
        case = case._replace(boxes=boxes)
        batch = made_batch(case, args.device)._replace(gt_bboxes=boxes_of_all_sizes(case, args.device))
        runs = [targets_in_step(side, batch, clock) for _ in range(args.runs + 1)][1:]
        targets, step = (statistics.median(seconds) for seconds in zip(*runs))
        share = statistics.median(part / whole for part, whole in runs)
        rows.append(f'| {case.name} | {targets:.4f} | {step:.3f} | {share:.2%} |')
    return rows


def compare_roi_align(args: argparse.Namespace) -> list[str]:
    """RoIAlign forward and backward on a map of stride 4 of two images of 800 x 1344 px, RoIs of 20 to 112 px."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 256, 200, 336, generator=generator).to(args.device).requires_grad_()
    corners = torch.rand(512, 2, generator=generator) * torch.tensor([1232, 688])
    sides = 20 + 92 * torch.rand(512, 2, generator=generator)
    rois = torch.cat([torch.arange(512)[:, None] % 2, corners, corners + sides], 1).to(args.device)
    clock, rows = Clock(args.device, args.processor_time), []
    for size in (7, 14):
        grad = torch.randn(512, 256, size, size, generator=generator).to(args.device)

        def step(pool: Callable, size: int = size, grad: torch.Tensor = grad) -> None:
            torch.autograd.grad(pool(features, rois, (size, size), 0.25, 0, aligned=True), features, grad)

        a, b, ratio = clock.pairs(partial(step, roi_align), partial(step, torchvision.ops.roi_align), args.runs)
        rows.append(f'| RoIAlign {size} x {size}, 512 RoIs, forward + backward | {a:.3f} | {b:.3f} | {ratio:.2f} |')
    return rows


def run_alone(case: Case, args: argparse.Namespace) -> dict[str, float]:
    """Seconds of this package's steps, for :func:`compare_environments`."""
    side: Side = own_side(case, args.device, args.options)
    clock, batch = Clock(args.device, args.processor_time), made_batch(case, args.device)
    seconds = {}
    for what in args.steps:
        call = partial(getattr(side, what), batch)
        call()
        seconds[what] = clock(call)
    return seconds


def without_option(args: Sequence[str], name: str) -> list[str]:
    """Arguments of a command line without ``name VALUE`` or ``name=VALUE``."""
    kept = [arg for arg in args if not arg.startswith(f'{name}=')]
    return [arg for before, arg in zip([None, *kept], kept) if name not in (before, arg)]


def compare_environments(args: argparse.Namespace) -> list[str]:
    """Steps here and in another environment that has an `mmdet` of its own, process by process in turn."""
    passed = [*without_option(sys.argv[1:], '--vs'), '--alone']
    # a PYTHONPATH would put this package before the other environment's own
    other = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    runs: tuple[list, list] = ([], [])
    for _ in range(args.runs):
        for python, env, done in ((sys.executable, dict(os.environ), runs[0]), (args.vs, other, runs[1])):
            out = subprocess.run([python, __file__, *passed], env=env, capture_output=True, text=True)
            if out.returncode:
                raise SystemExit(f'{python} failed:\n{out.stderr[-2000:]}')
            done.append(json.loads(out.stdout.splitlines()[-1]))
    rows = []
    for name in runs[0][0]:
        a, b = (statistics.median(run[name] for run in done) for done in runs)
        ratio = statistics.median(x[name] / y[name] for x, y in zip(*runs))
        rows.append(f'| {name} | {a:.3f} | {b:.3f} | {ratio:.2f} |')
    return rows


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--models', nargs='+', default=['faster_rcnn'], choices=list(MODELS))
    parser.add_argument('--sizes', nargs='+', default=['320x320'], help='HxW in px, multiples of 32')
    parser.add_argument('--batches', nargs='+', type=int, default=[2])
    parser.add_argument('--dtypes', nargs='+', default=['fp32'], choices=['fp32', 'bf16'])
    parser.add_argument('--steps', nargs='+', default=['train', 'infer'], choices=['train', 'infer'])
    parser.add_argument('--boxes', type=int, default=10, help='objects of each image')
    parser.add_argument('--runs', type=int, default=5, help='counted pairs after one warm-up')
    parser.add_argument('--options', type=read_options, default={}, help='further keys of the model: "dict(...)"')
    parser.add_argument('--growth', action='store_true', help='also vary boxes, proposals, classes and area')
    parser.add_argument('--targets', action='store_true', help='targets and their step at 800x1344; in --growth, too')
    parser.add_argument('--roi-align', action='store_true', help='RoIAlign alone')
    parser.add_argument('--processor-time', action='store_true', help='seconds of the processor, not of the wall clock')
    parser.add_argument('--vs', metavar='PYTHON', help='compare with the mmdet of another environment')
    parser.add_argument('--alone', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args()


def read_options(text: str) -> dict:
    """``dict(a=1)`` -> a dict of literals."""
    call = ast.parse(text, mode='eval').body
    if not isinstance(call, ast.Call) or getattr(call.func, 'id', '') != 'dict' or call.args:
        raise argparse.ArgumentTypeError(f'expected dict(key=value, ...), got {text!r}')
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def cases_of(args: argparse.Namespace) -> list[Case]:
    sizes = [tuple(int(side) for side in size.split('x')) for size in args.sizes]
    cases = [
        Case(model, size, batch, dtype, args.boxes)
        for model in args.models
        for size in sizes
        for batch in args.batches
        for dtype in args.dtypes
    ]
    return cases + [grown for case in cases[:1] for grown in growth_cases(case) if args.growth]


def main() -> None:
    args = parse_args()
    if args.alone:
        print(json.dumps({f'{c.name} {k}': s for c in cases_of(args) for k, s in run_alone(c, args).items()}))
        return
    print(f'torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads, {args.runs} pairs')
    if args.roi_align or args.vs:
        other = f'{args.vs} s' if args.vs else 'torchvision s'
        print(f'| what | mmdet s | {other} | ratio |\n| --- | --- | --- | --- |')
        print('\n'.join(compare_environments(args) if args.vs else compare_roi_align(args)))
        return
    if not args.targets:
        print('| what | mmdet s | torchvision s | ratio | mmdet images/s | overhead | its overhead | MB | its MB |')
        print('| --- ' * 9 + '|')
        for case in cases_of(args):
            print('\n'.join(compare(case, args)), flush=True)
    if args.targets or args.growth:
        print('\n| what | targets s | whole step s | share |\n| --- | --- | --- | --- |')
        for case in cases_of(args)[:1]:
            print('\n'.join(targets_by_boxes(case._replace(size=AREAS[-1]), args)))


if __name__ == '__main__':
    main()
