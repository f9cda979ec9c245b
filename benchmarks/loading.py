"""Time the loading of images, and the memory that annotations take.

    python benchmarks/loading.py                               # images/s by workers and by steps, against plain OpenCV
    python benchmarks/loading.py --annotations 118000 860000   # images, boxes: start and memory, one and two processes

The way against which the pipelines are held does the same by hand with OpenCV, in float from the first step on, in
torch's own loader. Ways take turns; a ratio is the median of those of one turn each. Processor seconds are those of all
processes that take part and do not count what else the machine does; images/s are of the wall.
"""

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import loading_annotations
from mmdet.datasets.builder import build_dataloader
from mmdet.datasets.pipelines import Compose
from mmdet.utils.running.allocator import keep_freed_memory

import cv2
import numpy as np
import torch
from mmcv.parallel import DataContainer, collate
from torch.utils.data import DataLoader, Dataset

NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
DIVISOR = 32
META_KEYS = ('filename', 'img_shape', 'pad_shape', 'scale_factor', 'flip')
FLOAT, BYTES, PLAIN = 'pipeline, float', 'pipeline, uint8', 'plain OpenCV, float'


def pipeline(as_bytes: bool, scale: tuple[int, int]) -> Compose:
    """Load, resize, flip, normalise and pad; or the same without normalising, for a model with ``input_norm``."""
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize', img_scale=scale)]
    steps += [dict(type='RandomFlip', flip_ratio=0.5)]
    steps += [] if as_bytes else [dict(type='Normalize', **NORM)]
    steps += [dict(type='Pad', size_divisor=DIVISOR), dict(type='DefaultFormatBundle', img_to_float=not as_bytes)]
    return Compose([*steps, dict(type='Collect', keys=['img'], meta_keys=META_KEYS)])


def run_pipeline(composed: Compose, path: str) -> dict:
    return composed(dict(img_info=dict(filename=path)))


def plain_opencv(scale: tuple[int, int], path: str) -> dict:
    """The same steps by hand."""
    img = cv2.imread(path)
    factor = min(max(scale) / max(img.shape[:2]), min(scale) / min(img.shape[:2]))
    size = tuple(int(side * factor + 0.5) for side in img.shape[1::-1])
    out = cv2.resize(img.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    if np.random.random() < 0.5:
        out = cv2.flip(out, 1)
    out = cv2.cvtColor(out, cv2.COLOR_BGR2RGB)
    out = (out - np.float32(NORM['mean'])) / np.float32(NORM['std'])
    below, beside = -out.shape[0] % DIVISOR, -out.shape[1] % DIVISOR
    out = cv2.copyMakeBorder(out, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0)
    return dict(img=DataContainer(torch.from_numpy(np.ascontiguousarray(out.transpose(2, 0, 1))), stack=True))


def made_images(folder: Path, size: tuple[int, int], count: int) -> list[str]:
    """JPEG files of coarse colours with some noise."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = rng.integers(0, 256, (size[0] // 16, size[1] // 16, 3), dtype=np.uint8)
        img = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        paths.append(str(folder / f'{number}.jpg'))
        cv2.imwrite(paths[-1], cv2.add(img, rng.integers(0, 12, img.shape, dtype=np.uint8)))
    return paths


class Files(Dataset):
    """``count`` images, the paths over and over again, each loaded in the given way."""

    def __init__(self, way: Callable[[str], dict], paths: Sequence[str], count: int) -> None:
        self.way, self.paths, self.count = way, paths, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict:
        return self.way(self.paths[index % len(self.paths)])


def loader_of(name: str, dataset: Files, batch: int, workers: int) -> DataLoader:
    if name == PLAIN:
        return DataLoader(dataset, batch, num_workers=workers, collate_fn=partial(collate, samples_per_gpu=batch))
    return build_dataloader(dataset, batch, workers, dist=False, shuffle=False)


def processor_seconds() -> float:
    """Of this process and of those that it started and that are over."""
    usages = (getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def one_pass(loader: DataLoader) -> tuple[float, float]:
    """Seconds of the wall and of the processor."""
    wall, processor = time.perf_counter(), processor_seconds()
    for _ in loader:
        pass
    return time.perf_counter() - wall, processor_seconds() - processor


def time_loaders(ways: dict[str, Callable], paths: Sequence[str], args: argparse.Namespace) -> None:
    """Print images a second of each way, by number of workers."""
    cases = [(workers, name) for workers in args.workers for name in ways]
    seconds: dict[tuple[int, str], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in range(args.rounds):
        for workers, name in cases:
            loader = loader_of(name, Files(ways[name], paths, args.images), args.batch, workers)
            seconds[workers, name].append(one_pass(loader))
    print(f'\nBatches of {args.batch}, {args.images} images a pass, {args.rounds} passes in turn')
    print('| workers | way | images/s | times plain | processor ms an image | times plain |')
    print('| --- | --- | --- | --- | --- | --- |')
    for workers, name in cases:
        wall, processor = zip(*seconds[workers, name])
        plain = list(zip(*seconds[workers, PLAIN]))
        print(
            f'| {workers} | {name} | {args.images / statistics.median(wall):.1f} | {ratio(plain[0], wall):.2f} '
            f'| {1000 * statistics.median(processor) / args.images:.1f} | {ratio(plain[1], processor):.2f} |'
        )


def ratio(plain: Sequence[float], own: Sequence[float]) -> float:
    """How many times as fast as the plain way: the median of pairs."""
    return statistics.median(a / b for a, b in zip(plain, own))


def time_ways(ways: dict[str, Callable], paths: Sequence[str], runs: int) -> None:
    """Print processor milliseconds of each way for one image, without a loader; its process keeps freed memory."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name, way in ways.items():
            start = time.process_time()
            way(paths[run % len(paths)])
            seconds[name].append(time.process_time() - start)
    print('\nOne image, as in a loading process, without batching\n| way | processor ms | times plain |')
    print('| --- | --- | --- |')
    for name, values in seconds.items():
        times = ratio(seconds[PLAIN][1:], values[1:])
        print(f'| {name} | {1000 * statistics.median(values[1:]):.1f} | {times:.2f} |')


def time_steps(pipelines: dict[str, Compose], paths: Sequence[str], runs: int) -> None:
    """Print what each step of the pipelines takes."""
    print('\n| step | pipeline | processor ms | share |\n| --- | --- | --- | --- |')
    for name, composed in pipelines.items():
        spent: Counter[str] = Counter()
        for run in range(runs):
            results = dict(img_info=dict(filename=paths[run % len(paths)]))
            for step in composed.transforms:
                start = time.process_time()
                results = step(results)
                spent[type(step).__name__] += time.process_time() - start
        for step, s in spent.items():
            print(f'| {step} | {name.split(", ")[1]} | {1000 * s / runs:.2f} | {s / spent.total():.0%} |')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=2, default=(480, 640), help='h w of the image files in px')
    parser.add_argument('--scale', type=int, nargs=2, default=(1333, 800), help='long and short edge to resize to')
    parser.add_argument('--workers', type=int, nargs='+', default=(0, 1, 2), help='numbers of loading processes')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--images', type=int, default=60, help='of one pass of a loader')
    parser.add_argument('--rounds', type=int, default=5, help='passes of each way and number of workers')
    parser.add_argument('--runs', type=int, default=20, help='images for the tables without a loader')
    parser.add_argument(
        '--annotations', type=int, nargs=2, metavar=('IMAGES', 'BOXES'), help='measure this instead of images'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.annotations:
        loading_annotations.measure(*args.annotations)
        return
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    scale = tuple(args.scale)
    pipelines = {FLOAT: pipeline(False, scale), BYTES: pipeline(True, scale)}
    ways: dict[str, Callable] = {PLAIN: partial(plain_opencv, scale)}
    ways |= {name: partial(run_pipeline, composed) for name, composed in pipelines.items()}
    with tempfile.TemporaryDirectory() as folder:
        paths = made_images(Path(folder), tuple(args.size), 8)
        print(f'files of {args.size[0]} x {args.size[1]}, resized to {scale}, one thread a process')
        time_loaders(ways, paths, args)
        keep_freed_memory()
        time_ways(ways, paths, args.runs)
        time_steps(pipelines, paths, args.runs)


if __name__ == '__main__':
    main()
