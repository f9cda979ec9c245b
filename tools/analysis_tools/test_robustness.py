"""Test a detector on damaged images, which the package ``imagecorruptions`` makes.

    python tools/analysis_tools/test_robustness.py CONFIG CHECKPOINT --out robustness.pkl --eval bbox

Each kind of damage at each severity is tested on all of ``data.test``. The detections of the last test are in the file
of ``--out``, the figures of all tests in the one beside it, ``robustness_results.pkl``, which
``tools/analysis_tools/robustness_eval.py`` reads.
"""

import argparse
import copy
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from mmdet.apis import init_detector, multi_gpu_test, set_random_seed, single_gpu_test
from mmdet.apis.launch import (
    UserError,
    add_common_arguments,
    config_from_args,
    fraction,
    reported_errors,
    start_processes,
)
from mmdet.apis.results import build_test_dataset
from mmdet.core.evaluation.robustness import (
    ALL,
    COCO_FIGURES,
    MAX_SEVERITY,
    PRINTS,
    SELECTIONS,
    expand_corruptions,
    summarise_tasks,
    summary_text,
)
from mmdet.datasets import CocoDataset, build_dataloader
from mmdet.utils import build_ddp, build_dp, get_device, setup_multi_processes

import mmcv
from mmcv import Config
from mmcv.runner import get_dist_info
from torch import nn
from torch.utils.data import Dataset

TRUTHS = {'true': True, '1': True, 'yes': True, 'false': False, '0': False, 'no': False}
METRICS = ('proposal', 'proposal_fast', 'bbox', 'segm', 'keypoints')


def truth(text: str) -> bool:
    """``'true'`` or ``'false'``; argparse's ``bool`` takes every text for true."""
    if text.lower() not in TRUTHS:
        raise argparse.ArgumentTypeError(f'expected true or false, got {text!r}')
    return TRUTHS[text.lower()]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file')
    add('--out', help='file for the detections, .pkl')
    add('--corruptions', type=str, nargs='+', default='benchmark', choices=[*SELECTIONS, *ALL], help='kinds of damage')
    add('--severities', type=int, nargs='+', default=[0, 1, 2, 3, 4, 5], help='0 (clean) to 5')
    add('--eval', type=str, nargs='+', choices=METRICS, help='metrics of COCO')
    add(
        '--iou-thr',
        type=fraction,
        default=0.5,
        help='overlap for mAP of data sets that are not evaluated in the way of COCO',
    )
    add('--summaries', type=truth, default=False, help="print each test's tables (true or false)")
    add('--workers', type=int, default=32, help='loading processes, at most as many as there are processors')
    add('--show', action='store_true', help='open a window for each image')
    add('--show-dir', help='write a picture for each image there')
    add('--show-score-thr', type=fraction, default=0.3, help='draw detections from this score on')
    add('--tmpdir', help='folder for collecting the results of several processes')
    add('--seed', type=int, default=None, help='of the damage')
    add('--final-prints', type=str, nargs='+', choices=[*PRINTS], default='mPC', help='what to print last')
    add(
        '--final-prints-aggregate',
        type=str,
        choices=['all', 'benchmark'],
        default='benchmark',
        help='of which corruptions',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is loaded.

    Raises:
        UserError: see there.
    """
    if not (args.out or args.show or args.show_dir):
        raise UserError('nothing to do: give at least one of --out, --show, --show-dir')
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out must end in .pkl or .pickle, got {args.out}')
    if not set(args.severities) <= set(range(MAX_SEVERITY + 1)):
        raise UserError(f'--severities: expected 0 to {MAX_SEVERITY}, got {args.severities}')
    if any(planned(args)) and importlib.util.find_spec('imagecorruptions') is None:
        raise UserError('damaged images need the package imagecorruptions: run `pip install imagecorruptions`')


def planned(args: argparse.Namespace) -> dict[int, list[str]]:
    """Severity -> corruptions to test; clean images are tested once, as ``'None'``."""
    names = [name for name in expand_corruptions(args.corruptions) if name != 'None']
    return {
        severity: names if severity else ['None'] for severity in sorted(set(args.severities)) if severity == 0 or names
    }


def damaged_dataset(cfg: Config, corruption: str, severity: int) -> Dataset:
    """``data.test`` with the damage done directly after an image is loaded.

    Raises:
        UserError: it is several data sets.
    """
    if not isinstance(cfg.data.test, dict) or 'pipeline' not in cfg.data.test:
        raise UserError('data.test must be one data set with a pipeline')
    pipeline = copy.deepcopy(list(cfg.data.test.pipeline))
    if severity:
        pipeline.insert(1, dict(type='Corrupt', corruption=corruption, severity=severity))
    return build_test_dataset(cfg, pipeline=pipeline)


def run(model: nn.Module, dataset: Dataset, args: argparse.Namespace, device: str, distributed: bool) -> list | None:
    """Results of all images; None on other processes than the first."""
    workers = min(args.workers, os.cpu_count() or 1)
    loader = build_dataloader(dataset, samples_per_gpu=1, workers_per_gpu=workers, dist=distributed, shuffle=False)
    if distributed:
        return multi_gpu_test(build_ddp(model, device, broadcast_buffers=False), loader, args.tmpdir)
    return single_gpu_test(build_dp(model, device), loader, args.show, args.show_dir, args.show_score_thr)


def evaluate(dataset: Dataset, results: list, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one test."""
    logger = None if args.summaries else 'silent'
    if not isinstance(dataset, CocoDataset):
        return dataset.evaluate(results, metric='mAP', iou_thr=args.iou_thr, logger=logger)
    items = list(COCO_FIGURES.values())
    return dataset.evaluate(
        results, metric=args.eval or ['bbox'], proposal_nums=(1, 10, 100), metric_items=items, logger=logger
    )


def test_all(cfg: Config, args: argparse.Namespace, distributed: bool) -> dict[str, dict[int, Any]]:
    """Test everything; gives corruption -> severity -> figures, empty on other processes than the first."""
    device = get_device()
    model = init_detector(cfg, args.checkpoint, device)
    corruptions = expand_corruptions(args.corruptions)
    figures: dict[str, dict[int, Any]] = {name: {} for name in corruptions}
    for severity, names in planned(args).items():
        for name in names:
            dataset = damaged_dataset(cfg, name, severity)
            results = run(model, dataset, args, device, distributed)
            if results is None:
                continue
            if args.out:
                mmcv.dump(results, args.out)
            measured = evaluate(dataset, results, args)
            print(f'{name if severity else "clean images"}, severity {severity}: {measured}', flush=True)
            for target in [name] if severity else corruptions:
                figures[target][severity] = measured
    return figures if get_dist_info()[0] == 0 else {}


def report(figures: dict[str, dict[int, Any]], coco: bool, args: argparse.Namespace) -> None:
    """Write the figures, and print P, mPC and rPC where they can be told."""
    path = Path(args.out)
    path = path.with_name(f'{path.stem}_results{path.suffix}')
    mmcv.dump(figures, str(path))
    print(f'figures written to {path}')
    tasks = [task for task in args.eval or ['bbox'] if task in ('bbox', 'segm')]
    try:
        chosen = summarise_tasks(figures, 'coco' if coco else 'voc', tasks, None, args.final_prints_aggregate)
    except (KeyError, ValueError) as error:
        print(f'no summary: {error.args[0]}')
        return
    for task, (names, summary) in chosen.items():
        print(summary_text(task, names, summary, args.final_prints))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_args(args)
    cfg = config_from_args(args)
    setup_multi_processes(cfg)
    distributed = start_processes(args.launcher, cfg)
    if args.seed is not None:
        set_random_seed(args.seed)
    figures = test_all(cfg, args, distributed)
    if figures and args.out:
        report(figures, isinstance(build_test_dataset(cfg, pipeline=[]), CocoDataset), args)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
