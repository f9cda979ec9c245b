"""All that a report says of one run."""

import copy
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv import Config
from numpy.typing import NDArray

from mmdet import __version__
from mmdet.apis.report.class_scores import ClassScores, class_scores, thresholds_by_class
from mmdet.apis.report.history import History, read_history
from mmdet.apis.report.mistakes import Detected, Example, confusion, count_kinds, detect, examples
from mmdet.apis.report.results_files import find_results, read_results
from mmdet.apis.report.samples import foreign_note, lies_outside, samples, source_labels
from mmdet.apis.results import build_split, evaluation_settings
from mmdet.datasets.audit.audit import PartReport, audit_part, flatten
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.metrics.class_figures import MARK
from mmdet.utils.compat_config import compat_loader_args
from mmdet.utils.running.progress import tracked

SAMPLE_FILES = 8  # images of each data set that are read whole for the audit
DEFAULT_METRIC = 'bbox'


class Settings(NamedTuple):
    """What a user may choose of a report."""

    score_thr: float | None = None  # None: of each class the threshold of its best F1
    examples: int = 24  # at most so many false detections, misses and right ones
    picture_side: int = 800  # px, of the longer side of a picture


class Detections(NamedTuple):
    """What the results say."""

    figures: dict[str, float]  # of the data set's own evaluation
    scores: list[ClassScores]
    thresholds: list[float]  # (K,)
    kinds: list[dict[str, int]]  # (K,) see ``mistakes.KINDS``
    confusion: NDArray[Any]  # (K + 1, K + 1)
    images: list[Detected]
    examples: list[Example]


class Run(NamedTuple):
    """One run."""

    name: str
    facts: dict[str, str]
    history: History
    data: list[tuple[str, PartReport]]  # 'train', 'val' or 'test', and what the audit found
    notes: list[str]  # what is missing or odd
    detections: Detections | None  # None without results


def collect(
    cfg: Config,
    work_dir: Path,
    results: Sequence[Path] = (),
    split: str | None = None,
    settings: Settings | None = None,
) -> Run:
    """Read what a run has left.

    Args:
        cfg: config of the run; not changed.
        work_dir: its folder with logs.
        results: files of results; none: those in the folder, where there are some.
        split: the data that they are of, ``'test'`` or ``'val'``; None: as :func:`find_results` says, else ``'test'``.
        settings: see there.

    Raises:
        UserError, ResultsError: the results do not belong to the data.
    """
    settings = settings or Settings()
    found, split = (list(results), split or 'test') if results else find_results(work_dir, split)
    dataset = build_split(cfg, split)
    history = read_history(work_dir)
    detections = None
    notes = []
    if found:
        given = read_results(found, dataset)
        figures, problem = _figures(dataset, given, cfg)
        detections = judge(dataset, given, figures, settings)
        outside = sum(lies_outside(image.sample) for image in detections.images)
        notes += problem + foreign_note(outside, sum(own.detections for own in detections.scores))
    else:
        notes.append(f'There are no results in {work_dir}: tools/test.py --out {work_dir}/results.npz writes them.')
    data, problems = _audit(cfg, split, dataset)
    facts = {
        **({'config': str(cfg.filename)} if cfg.filename else {}),
        'work folder': str(work_dir),
        'data': f'data.{split}: {_data_text(dataset)}',
        **({'results': ', '.join(map(_dated, found))} if found else {}),
        **({'thresholds': _threshold_text(settings)} if found else {}),
        **history.facts,
        'versions': f'mmdet {__version__}, torch {torch.__version__}',
        'written': f'{datetime.datetime.now():%Y-%m-%d %H:%M}',
    }
    return Run(work_dir.resolve().name, facts, history, data, notes + problems, detections)


def judge(dataset: Any, results: Sequence[Any], figures: dict[str, float], settings: Settings) -> Detections:
    """Look at results in every way that a report shows, beside the figures of the data set's own evaluation."""
    images = list(samples(dataset, results))
    scores = class_scores(images)
    thresholds = thresholds_by_class(scores, settings.score_thr)
    detected = [detect(image, thresholds) for image in tracked(images, 'comparing detections with annotations')]
    return Detections(
        figures,
        scores,
        thresholds,
        count_kinds(detected, len(scores)),
        confusion(detected, len(scores)),
        detected,
        examples(detected, settings.examples),
    )


def _figures(dataset: Any, results: Sequence[Any], cfg: Config) -> tuple[dict[str, float], list[str]]:
    """Figures of the data set's own evaluation, and a note where it gave none: the rest of a page needs none."""
    metric = (cfg.get('evaluation') or {}).get('metric', DEFAULT_METRIC)
    if not hasattr(dataset, 'evaluate'):
        return {}, [f'There are no figures of the evaluation: a {type(dataset).__name__} has none of its own.']
    try:
        found = dataset.evaluate(list(results), logger='silent', **evaluation_settings(cfg, metric, None))
    except Exception as error:  # a data set of the user's own may raise any
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        return {}, [f'There are no figures of the evaluation: {type(error).__name__}: {text}']
    figures = {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, (int, float, np.number)) and MARK not in name  # the page has a table of the classes
    }
    return figures, []


def _audit(cfg: Config, split: str, tested: Any) -> tuple[list[tuple[str, PartReport]], list[str]]:
    """What the audit finds in the training data and in those that were tested."""
    found, notes = [], []
    train = compat_loader_args(copy.deepcopy(cfg)).data.get('train')
    for name, dataset in (('train', train), (split, tested)):
        if dataset is None:
            continue
        try:
            built: Any = build_dataset(dataset) if isinstance(dataset, (dict, list, tuple)) else dataset
        except (OSError, KeyError, ValueError) as error:
            notes.append(f'data.{name} could not be read: {error}')
            continue
        labels = source_labels(built)
        for leaf, per_epoch in zip(*flatten(built)):
            found.append((name, audit_part(leaf, labels[id(leaf)], int(per_epoch), None, SAMPLE_FILES)))
    return found, notes


def _data_text(dataset: Any) -> str:
    names = list(source_labels(dataset).values())
    classes = dataset.CLASSES or ()
    return f'{len(dataset)} images of {", ".join(names)}; {len(classes)} class{"es" * (len(classes) != 1)}'


def _dated(path: Path) -> str:
    return f'{path} ({datetime.datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M})'


def _threshold_text(settings: Settings) -> str:
    if settings.score_thr is not None:
        return f'score {settings.score_thr:g} for all classes'
    return 'of each class the score of its best F1 at IoU 0.5'
