"""Start and memory of a data set's annotations; run by ``loading.py --annotations``."""

import gc
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset

import numpy as np
import torch.distributed as dist

CONTEXT = multiprocessing.get_context('fork')


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


def private_mb() -> float:
    """MB of memory that this process shares with no other (Linux), but for files: those hold what is shared."""
    total, of_file = 0, False
    for first, *rest in map(str.split, Path('/proc/self/smaps').read_text().splitlines()):
        if not first.endswith(':'):  # the next piece of memory
            of_file = len(rest) > 4 and rest[4].startswith('/')
        elif first.startswith('Private') and not of_file:
            total += int(rest[0])
    return total / 1024


def measure(images: int, boxes: int) -> None:
    """Print start and memory of a data set, plain and shared, in one process and in two of one machine."""
    print(f'{images} images, {boxes} boxes')
    print('| annotations | processes | processor s to start | MB each | MB in common | MB more in a loading process |')
    print('| --- | --- | --- | --- | --- | --- |')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'annotations.json'
        in_process(made_annotations, path, images, boxes)
        for shared, processes in ((False, 1), (True, 1), (False, 2), (True, 2)):
            meet = Path(folder) / f'meet_{shared}_{processes}'
            report = CONTEXT.Queue()
            ranks = [
                CONTEXT.Process(target=run_rank, args=(rank, processes, str(meet), str(path), shared, report))
                for rank in range(processes)
            ]
            for rank in ranks:
                rank.start()
            found = [report.get() for _ in ranks]
            for rank in ranks:
                rank.join()
            columns = ' | '.join(', '.join(dict.fromkeys(values)) for values in zip(*found))
            print(f'| {"shared" if shared else "plain"} | {processes} | {columns} |', flush=True)


def in_process(target: Any, *args: Any) -> None:
    """Run a function whose memory this process does not inherit."""
    process = CONTEXT.Process(target=target, args=args)
    process.start()
    process.join()


def run_rank(rank: int, processes: int, meet: str, path: str, shared: bool, report: multiprocessing.Queue) -> None:
    """Build the data set, let a loading process read it, report seconds and MB."""
    os.environ['LOCAL_WORLD_SIZE'] = str(processes)
    dist.init_process_group('gloo', init_method=f'file://{meet}', rank=rank, world_size=processes)
    gc.freeze()  # else a collection makes inherited memory this process's own
    before, start = private_mb(), time.process_time()
    dataset = CocoDataset(path, [], classes=tuple(str(k) for k in range(1, 81)), share_annotations=shared)
    seconds = time.process_time() - start
    dist.barrier()
    own, grown = private_mb() - before, CONTEXT.Queue()
    in_process(read_all, dataset, grown)
    common = dataset.data_infos.num_bytes + dataset._shared_anns.num_bytes if shared else 0
    report.put((f'{seconds:.1f}', f'{own:.0f}', f'{common / 2**20:.0f}', f'{grown.get():.0f}'))
    dist.barrier()
    dist.destroy_process_group()


def read_all(dataset: CocoDataset, grown: multiprocessing.Queue) -> None:
    """What a loading process does with the annotations in an epoch."""
    before = private_mb()
    for i in range(len(dataset)):
        dataset.get_ann_info(i)
    grown.put(private_mb() - before)
