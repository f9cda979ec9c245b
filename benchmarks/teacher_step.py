"""What a training step with a teacher costs against one without, on the data and the detector of a config.

    python tools/dataset_converters/make_shapes.py data/shapes
    python benchmarks/teacher_step.py configs/demo/faster_rcnn_r18_fpn_teacher.py

Steps with and without take turns in one process, on the same batches; the teacher completes labels from its first step
on. Printed are the medians and their ratio: of the processor's seconds on a CPU, where other work beside does not
count, of seconds on a GPU.
"""

import argparse
import statistics
import time
from typing import Any

import mmdet  # noqa: F401 - hides an announcement of mmcv
from mmdet.apis import set_random_seed
from mmdet.datasets import build_dataloader, build_dataset
from mmdet.models import build_detector
from mmdet.utils import build_dp, get_device

import torch
from mmcv import Config, DictAction
from mmcv.runner import build_optimizer, load_checkpoint


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='of a training with model.teacher')
    parser.add_argument('checkpoint', nargs='?', help='of a trained detector; none: as it is initialised')
    parser.add_argument('--steps', type=int, default=30, help='of each kind')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    return parser.parse_args(argv)


def seconds_of(model: Any, batch: dict, optimizer: torch.optim.Optimizer) -> float:
    """Seconds of one step, update included."""
    cuda = get_device() == 'cuda'
    clock = time.perf_counter if cuda else time.process_time
    if cuda:
        torch.cuda.synchronize()
    started = clock()
    loss = model.train_step(batch, optimizer)['loss']
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if cuda:
        torch.cuda.synchronize()
    return clock() - started


def measure(cfg: Config, checkpoint: str | None, steps: int) -> tuple[float, float]:
    """Median seconds of a step without and with the teacher.

    Raises:
        ValueError: the config has no teacher.
    """
    if not cfg.model.get('teacher'):
        raise ValueError('the config has no model.teacher (docs/teacher.md)')
    cfg.merge_from_dict({'model.teacher.burn_in': 0, 'model.teacher.diagnose_with': None})
    set_random_seed(0)
    detector = build_detector(cfg.model)
    detector.init_weights()
    if checkpoint is not None:
        load_checkpoint(detector, checkpoint, 'cpu')
    dataset = build_dataset(cfg.data.train)
    detector.CLASSES = dataset.CLASSES
    loader = iter(build_dataloader(dataset, cfg.data.samples_per_gpu, 0, dist=False, seed=0))
    batches = [batch for batch, _ in zip(loader, range(4))]
    model = build_dp(detector, get_device()).train()
    optimizer = build_optimizer(detector, dict(type='SGD', lr=1e-4))
    teacher, taken = detector.teacher, {False: [], True: []}
    for number in range(-2, steps):  # the first ones warm up
        for with_teacher in (False, True):
            detector.teacher = teacher if with_teacher else None
            seconds = seconds_of(model, batches[number % len(batches)], optimizer)
            if number >= 0:
                taken[with_teacher].append(seconds)
    return statistics.median(taken[False]), statistics.median(taken[True])


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    without, with_teacher = measure(cfg, args.checkpoint, args.steps)
    print(f'without {without * 1000:.1f} ms, with a teacher {with_teacher * 1000:.1f} ms: {with_teacher / without:.2f}')


if __name__ == '__main__':
    main()
