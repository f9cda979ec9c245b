"""Kill trainings at random moments, resume them, and compare with runs that were left alone.

    python benchmarks/kill_and_resume.py --kills 5

A tiny detector is trained on drawn images, in many settings of loaders, runners and hooks. A run is killed (SIGKILL) at
a function call that is drawn from all calls of the runner, its hooks and the checkpoints, and goes on with
``auto_resume``. The table counts runs with equal final weights, with complete and equal evaluations in the logs, and
with the right best checkpoint.
"""

import argparse
import json
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mmdet.apis import set_random_seed, train_detector
from mmdet.datasets import build_dataset
from mmdet.models import build_detector

import torch
from mmcv import Config
from mmcv.utils import logging as mmcv_logging

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / 'tests/runtime'))

from tiny import draw_data, write_config  # noqa: E402 - found by the line above

WATCHED = ('/mmcv/runner/', '/mmdet/utils/', '/mmdet/core/hook/', '/mmdet/core/evaluation/')
MOSAIC = """
train_pipeline[2] = dict(type='Resize', img_scale=(64, 64), keep_ratio=True)
inner = dict(pipeline=train_pipeline[:2], filter_empty_gt=False, **source)
data['train'] = dict(type='MultiImageMixDataset', dataset=inner, pipeline=[
    dict(type='Mosaic', img_scale=(64, 64), pad_val=114.0), *train_pipeline[2:]])
"""
MIXTURE = """
part = dict(pipeline=train_pipeline, filter_empty_gt=False, **source)
data['train'] = dict(type='ConcatDataset', datasets=[part, part])
data['source_ratio'] = [1, 1]
"""
ITERATIONS = """
runner = dict(type='IterBasedRunner', max_iters=10)
checkpoint_config = dict(interval=3, by_epoch=False)
evaluation.update(interval=3)
lr_config.update(by_epoch=False, step=[7])
"""
SETTINGS = {
    'epochs': '',
    'workers': 'data["workers_per_gpu"] = 2',
    'persistent workers': 'data.update(workers_per_gpu=1, persistent_workers=True)',
    'iterations': ITERATIONS,
    'iterations, workers': ITERATIONS + 'data["workers_per_gpu"] = 2',
    'accumulation': 'optimizer_config = dict(type="GradientCumulativeOptimizerHook", cumulative_iters=3)',
    'averages': 'custom_hooks = [dict(type="ExpMomentumEMAHook", momentum=0.1, total_iter=5, priority=49)]',
    'bfloat16': 'fp16 = dict(dtype="bfloat16")',
    'mosaic, workers': MOSAIC + 'data["workers_per_gpu"] = 1',
    'mixture, persistent': MIXTURE + 'data.update(workers_per_gpu=1, persistent_workers=True)',
    'one kept': 'checkpoint_config = dict(interval=1, max_keep_ckpts=1)',
}


class Outcome(NamedTuple):
    """What a run left."""

    weights: dict[str, torch.Tensor]
    evaluations: list[tuple]  # figures in the order of the log, those that were made up once more left out
    best: dict[str, dict[str, torch.Tensor]]  # name of the file -> weights


def train(folder: Path, work: Path, moment: int | None, count: object) -> None:
    """Be the process that trains: count the watched calls, and die at one of them."""
    time.sleep = lambda seconds: None  # mmcv pauses at the begin and the end of runs
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    mmcv_logging.logger_initialized.clear()
    cfg = Config.fromfile(str(folder / 'tiny.py'))
    cfg.merge_from_dict(dict(work_dir=str(work), seed=1, device='cpu', gpu_ids=[0], auto_resume=True))
    set_random_seed(1)
    model = build_detector(cfg.model)
    dataset = build_dataset(cfg.data.train)
    if moment is not None or count is not None:
        sys.setprofile(_counter(moment, count))
    timestamp = f'log_{len(list(work.glob("*.log.json")))}'
    train_detector(model, dataset, cfg, validate=True, timestamp=timestamp, meta=dict(seed=1))


def _counter(moment: int | None, count: object) -> Callable:
    own, seen = os.getpid(), 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal seen
        if event == 'call' and os.getpid() == own and any(part in frame.f_code.co_filename for part in WATCHED):
            seen += 1
            if count is not None:
                count.value = seen
            if seen == moment:
                os.kill(own, signal.SIGKILL)

    return profile


def run(folder: Path, work: Path, moment: int | None = None, count: object = None) -> int:
    """Train in a process of its own; gives its exit code, negative for a kill."""
    work.mkdir(exist_ok=True)
    process = multiprocessing.get_context('fork').Process(target=train, args=(folder, work, moment, count))
    process.start()
    process.join()
    return process.exitcode


def outcome(work: Path) -> Outcome:
    """What is in a work folder."""
    rows = []
    for log in sorted(work.glob('*.log.json')):
        for line in log.read_text().splitlines():
            row = json.loads(line) if line.endswith('}') else {}
            if row.get('mode') == 'val':
                rows.append(tuple(sorted((key, value) for key, value in row.items() if 'mAP' in key)))
    load = {path.name: torch.load(path, weights_only=True) for path in work.glob('best_*.pth')}
    latest = torch.load(work / 'latest.pth', weights_only=True)['state_dict']
    return Outcome(latest, list(dict.fromkeys(rows)), {name: content['state_dict'] for name, content in load.items()})


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class Setting:
    """A config with its data, and the run that nobody kills.

    Args:
        name: of :data:`SETTINGS`.
        folder: is made; holds data and runs.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        draw_data(folder)
        write_config(folder, '\n' + SETTINGS[name] + '\n')
        calls = multiprocessing.get_context('fork').Value('l', 0)
        if run(folder, folder / 'whole', count=calls):
            raise RuntimeError(f'{name}: the undisturbed run failed')
        self.calls, self.whole = calls.value, outcome(folder / 'whole')

    def trial(self, moment: int) -> tuple[bool, bool, bool]:
        """Whether weights, evaluations and best checkpoint are those of the whole run, after a kill at that call."""
        work = self.folder / f'killed_{moment}'
        if run(self.folder, work, moment) != -signal.SIGKILL:
            raise RuntimeError(f'there was no call {moment} of {self.calls}')
        if run(self.folder, work):
            raise RuntimeError(f'the run that was killed at call {moment} could not be resumed')
        found, wanted = outcome(work), self.whole
        best = found.best.keys() == wanted.best.keys() and all(same(found.best[k], wanted.best[k]) for k in wanted.best)
        return same(found.weights, wanted.weights), found.evaluations == wanted.evaluations, best


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=5, help='for each setting')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--settings', nargs='+', choices=SETTINGS, default=list(SETTINGS), help='which of them')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> list[tuple]:
    """Run the command; gives the rows of the table."""
    args = parse_args(argv)
    draw = random.Random(args.seed)
    rows = []
    print(f'{"setting":24}{"calls":>8}{"kills":>7}{"weights":>9}{"evaluations":>13}{"best":>6}')
    for name in args.settings:
        with tempfile.TemporaryDirectory() as temporary:
            setting = Setting(name, Path(temporary, 'run'))
            moments = sorted(draw.sample(range(1, setting.calls), args.kills))
            results = [(moment, setting.trial(moment)) for moment in moments]
        counts = [sum(result[i] for _, result in results) for i in range(3)]
        rows.append((name, args.kills, *counts))
        print(f'{name:24}{setting.calls:8}{args.kills:7}{counts[0]:9}{counts[1]:13}{counts[2]:6}', flush=True)
        for moment, result in results:
            if not all(result):
                print(f'    call {moment}: weights {result[0]}, evaluations {result[1]}, best {result[2]}')
    totals = [sum(row[i] for row in rows) for i in range(1, 5)]
    print(f'{"all":32}{totals[0]:7}{totals[1]:9}{totals[2]:13}{totals[3]:6}')
    return rows


if __name__ == '__main__':
    main()
