"""Time COCO's box metrics: this package's backends on made results.

    python benchmarks/evaluation.py --images 5000 --boxes 100 --classes 80

Both backends read the same file of results, in turn, each time in a process of its own. Seconds are those that this
process gets from the processor (both use one thread), so that other work on the machine does not count; memory is how
far its peak is above what it begins with, the annotations that are loaded (Linux).
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.metrics.coco_metrics import BACKENDS, DEFAULT_IOU_THRS, run_coco_eval
from mmdet.utils.running.allocator import return_freed_memory

import numpy as np

CONTEXT = multiprocessing.get_context('fork')


def made_files(folder: Path, images: int, boxes: int, classes: int) -> tuple[Path, Path]:
    """An annotation file with ``boxes`` objects an image, and as many results near them."""
    rng = np.random.default_rng(0)
    count = images * boxes
    xywh = np.concatenate([rng.uniform(0, 600, (count, 2)), rng.uniform(8, 200, (count, 2))], 1).round(2)
    found = (xywh + rng.normal(0, 4, xywh.shape)).round(2)
    found[:, 2:] = found[:, 2:].clip(1)
    labels, scores = rng.integers(1, classes + 1, count), rng.random(count).round(4)
    owners = [dict(image_id=i // boxes, category_id=k) for i, k in enumerate(labels.tolist())]
    areas = (xywh[:, 2] * xywh[:, 3]).tolist()
    anns = [
        dict(owner, id=i + 1, bbox=box, area=area, iscrowd=0)
        for i, (owner, box, area) in enumerate(zip(owners, xywh.tolist(), areas))
    ]
    results = [dict(o, bbox=b, score=s) for o, b, s in zip(owners, found.tolist(), scores.tolist())]
    content = dict(
        images=[dict(id=i, width=800, height=800, file_name=f'{i}.jpg') for i in range(images)],
        categories=[dict(id=k, name=str(k)) for k in range(1, classes + 1)],
        annotations=anns,
    )
    paths = folder / 'annotations.json', folder / 'results.json'
    for path, data in zip(paths, (content, results)):
        path.write_text(json.dumps(data))
    return paths


def measure(coco: COCO, results: Path, backend: str) -> tuple[float, float, dict]:
    """Seconds, MB of the peak above the begin, and the figures of one evaluation."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=evaluate, args=(coco, results, backend, sender))
    process.start()
    sender.close()  # else a child that fails would be waited for
    found = receiver.recv()
    process.join()
    return found


def evaluate(coco: COCO, results: Path, backend: str, sender: Connection) -> None:
    return_freed_memory()  # else what reading the annotations has left would be used, and not be seen
    held, start = memory_mb('VmRSS'), time.process_time()
    ids = coco.get_cat_ids(), coco.get_img_ids()
    summary = run_coco_eval(coco, str(results), 'bbox', *ids, (1, 10, 100), DEFAULT_IOU_THRS, 'silent', backend)
    seconds = time.process_time() - start
    figures = {name: figure.value for name, figure in summary.figures.items()}
    sender.send((seconds, memory_mb('VmHWM') - held, figures))


def memory_mb(name: str) -> float:
    """``VmRSS``, what this process holds, or ``VmHWM``, the most that it has held."""
    lines = (line.split() for line in Path('/proc/self/status').read_text().splitlines())
    return next(int(values[0]) for key, *values in lines if key == f'{name}:') / 1024


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--boxes', type=int, default=100, help='objects and detections of each image')
    parser.add_argument('--classes', type=int, default=80)
    parser.add_argument('--runs', type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        annotations, results = made_files(Path(folder), args.images, args.boxes, args.classes)
        coco = COCO(str(annotations))
        runs = {name: [] for name in BACKENDS}
        for _ in range(args.runs):
            for name, done in runs.items():
                done.append(measure(coco, results, name))
    share = 5000 / args.images
    print(f'{args.images} images, {args.boxes} boxes each, {args.classes} classes')
    print('| backend | s | MB | s per 5000 images | MB per 5000 images |\n| --- | --- | --- | --- | --- |')
    for name, done in runs.items():
        seconds, memory = (statistics.median(values) for values in list(zip(*done))[:2])
        print(f'| {name} | {seconds:.1f} | {memory:.0f} | {seconds * share:.1f} | {memory * share:.0f} |')
    print('figures equal:', len({json.dumps(run[2]) for done in runs.values() for run in done}) == 1)


if __name__ == '__main__':
    main()
