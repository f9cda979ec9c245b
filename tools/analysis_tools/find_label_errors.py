"""Find errors in the annotations of a training set: missing, swapped and badly placed boxes.

    python tools/analysis_tools/find_label_errors.py CONFIG --folds 5 --work-dir work_dirs/label_errors

trains the config's detector five times, each time without a fifth of the images, and compares what it finds on these
with what is annotated. Detectors or results that exist take the place of the training: one checkpoint for each fold
(or one that was trained on other images), or files of ``tools/test.py --out`` on all images of the training set.

The folder ``--out-dir`` gets a ranked table of images (CSV and Markdown), all suggestions (CSV), an estimate of the
fraction of objects that are not annotated, by data set and class (JSON, for ``mixing_report.py --missing-rates``), an
annotation file with the suggestions marked, which label tools import, and a page with pictures. ``--apply`` writes new
annotation files; the originals are never changed. See docs/label_errors.md.
"""

import argparse
import sys
from pathlib import Path

from mmdet.apis.label_errors import (
    Findings,
    Source,
    apply_findings,
    checkpoint_folds,
    look_at_labels,
    read_results,
    sentences,
    sources_of,
    train_folds,
    write_findings,
)
from mmdet.apis.label_errors.folds import CHECKPOINT_ENDS, Results
from mmdet.apis.label_errors.scoring import LEAST, cleanlab_rank
from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.utils import get_device
from mmdet.utils.checkpoints.checkpoint import set_checkpoint_trust
from mmdet.utils.running.run_lock import run_lock

from mmcv import Config, DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('found', nargs='*', metavar='CHECKPOINT_OR_RESULTS', help='instead of a training')
    parser.add_argument('--folds', type=int, help='train so many detectors; without checkpoints or results: 5')
    parser.add_argument('--work-dir', type=Path, help='for the folds; default: work_dirs/label_errors/NAME_OF_CONFIG')
    parser.add_argument('--out-dir', type=Path, help='for the tables, files and the page; default: the work dir')
    parser.add_argument('--min-probability', type=float, default=LEAST, help='of suggestions')
    parser.add_argument('--crops', type=int, default=500, help='most pictures on the page')
    parser.add_argument(
        '--apply',
        nargs='+',
        default=[],
        metavar='WHAT',
        help='write annotation files with this: directives (for the images), and suggestions: all, missing, swapped, '
        'misplaced, names from the table, or files with a name a line',
    )
    parser.add_argument('--seed', type=int, default=0, help='of folds, trainings and intervals')
    parser.add_argument('--gpu-id', type=int, default=0, help='the GPU to use')
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow checkpoint files that run code')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    args = parser.parse_args(argv)
    if not 0 < args.min_probability <= 1:
        parser.error(f'--min-probability: expected more than 0, at most 1, got {args.min_probability}')
    if args.crops < 0:
        parser.error(f'--crops: expected 0 or more, got {args.crops}')
    return args


def results_of(args: argparse.Namespace, cfg: Config, sources: list[Source]) -> Results:
    """Detections on the images of all sources: read, made by checkpoints, or by detectors that are trained here.

    Raises:
        UserError: checkpoints and results together, or another number of checkpoints than folds.
    """
    checkpoints = [path for path in args.found if path.endswith(CHECKPOINT_ENDS)]
    if not args.found:
        with run_lock(str(args.work_dir)):
            return train_folds(cfg, sources, args.folds or 5, args.work_dir)
    if not checkpoints:
        return read_results(args.found, sources)
    if len(checkpoints) != len(args.found):
        raise UserError('checkpoints and results were given together; give one kind')
    if args.folds not in (None, len(checkpoints)):
        raise UserError(f'--folds {args.folds}, but {len(checkpoints)} checkpoints were given; give one for each fold')
    if len(checkpoints) == 1:
        print('one checkpoint detects on all images; what it was trained on itself it will find to be right')
    return checkpoint_folds(cfg, sources, checkpoints, args.work_dir)


def main(argv: list[str] | None = None) -> Findings:
    """Run the command; gives what was found."""
    args = parse_args(argv)
    cleanlab_rank()  # before hours of training
    cfg = config_from_args(args)
    args.work_dir = args.work_dir or Path('work_dirs', 'label_errors', Path(args.config).stem)
    out = args.out_dir or args.work_dir
    cfg.seed, cfg.device, cfg.gpu_ids = args.seed, get_device(), [args.gpu_id]
    set_checkpoint_trust(cfg.get('trust_checkpoint', False))
    sources = sources_of(cfg)
    findings = look_at_labels(sources, results_of(args, cfg, sources), args.min_probability, args.seed)
    for sentence in [*findings.notes, *sentences(findings.rates)]:
        print(sentence)
    for path in write_findings(findings, out, args.crops):
        print(f'wrote {path}')
    if args.apply:
        for line in apply_findings(findings, out, args.apply, args.min_probability):
            print(f'wrote {line}')
    return findings


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
