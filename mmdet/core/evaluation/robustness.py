"""Figures of a detector on damaged images (Michaelis et al., https://arxiv.org/abs/1907.07484).

Three of them: P, the performance on clean images; mPC, its mean over all kinds of damage and severities 1 to 5; and
rPC = mPC / P.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

GROUPS = {
    'noise': ('gaussian_noise', 'shot_noise', 'impulse_noise'),
    'blur': ('defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur'),
    'weather': ('snow', 'frost', 'fog', 'brightness'),
    'digital': ('contrast', 'elastic_transform', 'pixelate', 'jpeg_compression'),
    'holdout': ('speckle_noise', 'gaussian_blur', 'spatter', 'saturate'),
}
BENCHMARK = tuple(name for group in ('noise', 'blur', 'weather', 'digital') for name in GROUPS[group])
ALL = BENCHMARK + GROUPS['holdout']
SELECTIONS = {'all': ALL, 'benchmark': BENCHMARK, **GROUPS, 'None': ('None',)}
MAX_SEVERITY = 5

# names of COCO's figures in papers on robustness -> those of `CocoDataset.evaluate`
COCO_FIGURES = {
    'AP': 'mAP',
    'AP50': 'mAP_50',
    'AP75': 'mAP_75',
    'APs': 'mAP_s',
    'APm': 'mAP_m',
    'APl': 'mAP_l',
    'AR1': 'AR@1',
    'AR10': 'AR@10',
    'AR100': 'AR@100',
    'ARs': 'AR_s@100',
    'ARm': 'AR_m@100',
    'ARl': 'AR_l@100',
}

PRINTS = {
    'P': 'performance on clean images (P)',
    'mPC': 'mean performance under corruption (mPC)',
    'rPC': 'relative performance under corruption (rPC), %',
}


class Robustness(NamedTuple):
    """Each (M,) for M figures such as AP and AP50."""

    clean: np.ndarray  # P
    corrupted: np.ndarray  # mPC
    relative: np.ndarray  # rPC; NaN where P is 0


def expand_corruptions(names: str | Sequence[str]) -> list[str]:
    """Names of corruptions from names and groups of them, each once, in the order given.

    Raises:
        KeyError: an unknown name.
    """
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in SELECTIONS and name not in ALL:
            raise KeyError(f'corruption {name!r} is not known. Known: {", ".join([*SELECTIONS, *ALL])}')
    return list(dict.fromkeys(single for name in names for single in SELECTIONS.get(name, (name,))))


def figures_table(
    output: Mapping[str, Mapping[int, Any]],
    corruptions: Sequence[str],
    names: Sequence[str],
    pick: Callable[[Any, str], float],
) -> np.ndarray:
    """Figures of a robustness test as an array.

    Args:
        output: corruption -> severity -> what was measured.
        corruptions: C names.
        names: M names of figures.
        pick: (what was measured, name) -> the figure.

    Returns:
        (C, 6, M) float64; NaN where something was not measured.
    """
    table = np.full((len(corruptions), MAX_SEVERITY + 1, len(names)), np.nan)
    for i, corruption in enumerate(corruptions):
        for severity, measured in output.get(corruption, {}).items():
            table[i, severity] = [pick(measured, name) for name in names]
    return table


def summarise(table: np.ndarray) -> Robustness:
    """P, mPC and rPC from figures (C, 6, M) of C corruptions at severities 0 (clean) to 5; NaN: not measured.

    Raises:
        ValueError: there is no clean figure, or none of a corrupted image.
    """
    measured = ~np.isnan(table).all(-1)  # (C, 6)
    if not measured[:, 0].any() or not measured[:, 1:].any():
        raise ValueError(
            'P, mPC and rPC need severity 0 and at least one of 1 to 5; measured severities: '
            f'{np.flatnonzero(measured.any(0)).tolist()}'
        )
    # severity 0 is the same for every corruption
    clean = np.nanmean(table[:, 0], axis=0)
    corrupted = np.nanmean(table[:, 1:], axis=(0, 1))
    relative = np.divide(corrupted, clean, out=np.full_like(clean, np.nan), where=clean > 0)
    return Robustness(clean, corrupted, relative)


def _figure_of(measured: Mapping[str, Any], name: str, keys: Mapping[str, str], task: str) -> float:
    """A figure such as AP, from a flat dict, or from one for each task as mmdetection 2.x writes it."""
    nested = measured.get(task)
    return nested[name] if isinstance(nested, Mapping) else measured[keys[name]]


def summarise_tasks(
    output: Mapping[str, Mapping[int, Any]],
    dataset: str,
    tasks: Sequence[str],
    names: Sequence[str] | None,
    aggregate: str,
) -> dict[str, tuple[list[str], Robustness]]:
    """P, mPC and rPC of a robustness test.

    Args:
        output: corruption -> severity -> what the data set's ``evaluate`` gave.
        dataset: ``'voc'``, or another, which is evaluated in COCO's way.
        tasks: ``'bbox'``, ``'segm'``; VOC has boxes only.
        names: of :data:`COCO_FIGURES`; None: all of them, or AP50 for VOC.
        aggregate: ``'all'`` or ``'benchmark'``, the corruptions to use.

    Returns:
        For each task the names, and their figures.

    Raises:
        KeyError: a figure was not measured.
        ValueError: see :func:`summarise`.
    """
    voc = dataset == 'voc'
    chosen = {}
    for task in ['bbox'] if voc else tasks:
        names_of_task = list(names or (['AP50'] if voc else COCO_FIGURES))
        # VOC has one figure, the mean AP over its classes
        keys = {name: 'mAP' if voc else f'{task}_{COCO_FIGURES[name]}' for name in names_of_task}
        try:
            table = figures_table(
                output, SELECTIONS[aggregate], names_of_task, partial(_figure_of, keys=keys, task=task)
            )
        except KeyError as error:
            raise KeyError(f'{task}: {error.args[0]} was not measured') from error
        chosen[task] = names_of_task, summarise(table)
    return chosen


def summary_text(task: str, names: Sequence[str], summary: Robustness, prints: str | Sequence[str]) -> str:
    """Lines with some of ``'P'``, ``'mPC'`` and ``'rPC'`` for each figure."""
    values = dict(P=summary.clean, mPC=summary.corrupted, rPC=100 * summary.relative)
    lines = []
    for kind in [prints] if isinstance(prints, str) else prints:
        lines.append(f'{task}: {PRINTS[kind]}')
        lines += [f'  {name:6} {value:.3f}' for name, value in zip(names, values[kind].tolist())]
    return '\n'.join(lines)
