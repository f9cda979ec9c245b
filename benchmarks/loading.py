"""Time the loading of images, and the memory that annotations take in loading processes.

    python benchmarks/loading.py                               # pipelines: share of each step, images/s, against OpenCV
    python benchmarks/loading.py --annotations 118000 860000   # images, boxes: memory of a loading process

Pipelines are timed in turn, in processor seconds of one thread, so that other work on the machine does not count.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from mmdet.datasets import CocoDataset
from mmdet.datasets.pipelines import Compose

NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
SCALE, DIVISOR = (1333, 800), 32


def pipeline(as_bytes: bool) -> Compose:
    """Resize, flip, normalise and pad; or the same without normalising, for a model with ``input_norm``."""
    steps = [dict(type='Resize', img_scale=SCALE), dict(type='RandomFlip', flip_ratio=0.5)]
    steps += [] if as_bytes else [dict(type='Normalize', **NORM)]
    steps += [dict(type='Pad', size_divisor=DIVISOR), dict(type='DefaultFormatBundle', img_to_float=not as_bytes)]
    return Compose(steps)


def fresh(img: np.ndarray) -> dict:
    """An image as the loading step leaves it."""
    return dict(img=img, img_shape=img.shape, ori_shape=img.shape, img_fields=['img'])


def plain_opencv(img: np.ndarray) -> torch.Tensor:
    """The same steps by hand, in float from the first one on."""
    scale = min(max(SCALE) / max(img.shape[:2]), min(SCALE) / min(img.shape[:2]))
    size = tuple(int(side * scale + 0.5) for side in img.shape[1::-1])
    out = cv2.resize(img.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    if np.random.random() < 0.5:
        out = cv2.flip(out, 1)
    out = cv2.cvtColor(out, cv2.COLOR_BGR2RGB)
    out = (out - np.float32(NORM['mean'])) / np.float32(NORM['std'])
    below, beside = -out.shape[0] % DIVISOR, -out.shape[1] % DIVISOR
    out = cv2.copyMakeBorder(out, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0)
    return torch.from_numpy(np.ascontiguousarray(out.transpose(2, 0, 1)))


def time_pipelines(runs: int, size: tuple[int, int]) -> None:
    """Print images a second of each way, and the share of each step."""
    cv2.setNumThreads(1)
    img = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    composed = {'pipeline, float': pipeline(False), 'pipeline, uint8': pipeline(True)}
    ways: dict[str, Callable] = {name: lambda way=way: way(fresh(img)) for name, way in composed.items()}
    ways['plain OpenCV, float'] = lambda: plain_opencv(img)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    plain = median['plain OpenCV, float']
    print(f'image {size[0]} x {size[1]}\n| way | ms | images/s | times plain |\n| --- | --- | --- | --- |')
    for name, s in median.items():
        print(f'| {name} | {1000 * s:.1f} | {1 / s:.1f} | {plain / s:.2f} |')
    for name, way in composed.items():
        print(f'share of each step, {name}: {step_shares(way, img, runs)}')


def step_shares(way: Compose, img: np.ndarray, runs: int) -> str:
    spent: Counter[str] = Counter()
    for _ in range(runs):
        results = fresh(img)
        for step in way.transforms:
            start = time.process_time()
            results = step(results)
            spent[type(step).__name__] += time.process_time() - start
    return ', '.join(f'{name} {s / spent.total():.0%}' for name, s in spent.items())


def made_annotations(path: Path, images: int, boxes: int) -> None:
    """A file of COCO's format without masks."""
    rng = np.random.default_rng(0)
    xywh = (rng.uniform(0, 300, (boxes, 4)) + 1).round(2).tolist()
    owners, labels = rng.integers(0, images, boxes).tolist(), rng.integers(1, 81, boxes).tolist()
    content = dict(
        images=[dict(id=i, width=640, height=640, file_name=f'{i:012d}.jpg') for i in range(images)],
        categories=[dict(id=k, name=str(k)) for k in range(1, 81)],
        annotations=[
            dict(id=i + 1, image_id=o, category_id=k, bbox=b, area=b[2] * b[3], iscrowd=0)
            for i, (o, k, b) in enumerate(zip(owners, labels, xywh))
        ],
    )
    path.write_text(json.dumps(content))


def private_mb(path: str = '/proc/self/smaps_rollup') -> float:
    """MB of memory that this process shares with no other (Linux)."""
    lines = (line.split() for line in Path(path).read_text().splitlines()[1:])
    return sum(int(kb) for name, kb, *_ in lines if name.startswith('Private')) / 1024


def read_all(dataset: CocoDataset, report: multiprocessing.Queue) -> None:
    """What a loading process does with the annotations in an epoch."""
    before = private_mb()
    boxes = sum(len(dataset.get_ann_info(i)['bboxes']) for i in range(len(dataset)))
    report.put((boxes, private_mb() - before))


def measure_annotations(images: int, boxes: int) -> None:
    """Print start and memory of a data set, plain and shared; each in a process of its own."""
    print('| annotations | s to start | MB of the data set | MB more in a loading process |\n| --- | --- | --- | --- |')
    context = multiprocessing.get_context('fork')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'annotations.json'
        made_annotations(path, images, boxes)
        for shared in (False, True):
            process = context.Process(target=report_annotations, args=(str(path), shared))
            process.start()
            process.join()


def report_annotations(path: str, shared: bool) -> None:
    before, start = private_mb(), time.process_time()
    classes = tuple(str(k) for k in range(1, 81))
    dataset = CocoDataset(path, [], classes=classes, share_annotations=shared)
    seconds, held = time.process_time() - start, private_mb() - before
    context = multiprocessing.get_context('fork')
    report = context.Queue()
    process = context.Process(target=read_all, args=(dataset, report))
    process.start()
    grown = report.get()[1]
    process.join()
    size = repr(dataset.data_infos) if shared else f'list of {len(dataset)}'
    print(f'| {"shared" if shared else "plain"} ({size}) | {seconds:.1f} | {held:.0f} | {grown:.0f} |', flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=20)
    parser.add_argument('--size', type=int, nargs=2, default=(480, 640), help='h w of the image in px')
    parser.add_argument('--annotations', type=int, nargs=2, metavar=('IMAGES', 'BOXES'))
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.annotations:
        measure_annotations(*args.annotations)
    else:
        time_pipelines(args.runs, tuple(args.size))


if __name__ == '__main__':
    main()
