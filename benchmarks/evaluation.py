"""Time COCO's box metrics: this package's backends on made results.

    python benchmarks/evaluation.py --images 5000 --boxes 100 --classes 80

Both backends read the same file of results, in turn. Seconds are processor seconds of this process (both use one
thread), so that other work on the machine does not count; memory is the growth of the process's peak.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.coco_metrics import BACKENDS, DEFAULT_IOU_THRS, run_coco_eval


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
    """Seconds, MB that the peak of memory grew by, and the figures of one evaluation."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    ids = coco.get_cat_ids(), coco.get_img_ids()
    summary = run_coco_eval(coco, str(results), 'bbox', *ids, (1, 10, 100), DEFAULT_IOU_THRS, 'silent', backend)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    return seconds, grown, {name: figure.value for name, figure in summary.figures.items()}


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
        runs = {name: [] for name in BACKENDS[::-1]}  # the thrifty one first, or its peak would not show
        for _ in range(args.runs):
            for name, done in runs.items():
                done.append(measure(coco, results, name))
    print(f'{args.images} images, {args.boxes} boxes each, {args.classes} classes')
    print('| backend | s | MB more |\n| --- | --- | --- |')
    for name, done in runs.items():
        print(f'| {name} | {statistics.median(run[0] for run in done):.1f} | {done[0][1]:.0f} |')
    print('figures equal:', len({json.dumps(run[2]) for done in runs.values() for run in done}) == 1)


if __name__ == '__main__':
    main()
