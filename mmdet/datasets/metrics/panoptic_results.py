"""Panoptic results as COCO's files, and the table of their quality."""

import logging
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.utils import print_log
from terminaltables import AsciiTable

from mmdet.core.evaluation.panoptic_utils import INSTANCE_OFFSET, VOID, id2rgb

# The id that a segment of label 0 without a number has in the files, where 0 is void.
LABEL_ZERO_ID = 256**3 - 1
FIGURES = ('pq', 'sq', 'rq')
GROUPS = dict(All='', Things='_th', Stuff='_st')  # rows of the table -> endings of the figures' names


def picture_folder(outfile_prefix: str) -> str:
    """Where the pictures lie that belong to results with this prefix."""
    return osp.join(osp.dirname(outfile_prefix), 'panoptic')


def write_panoptic_picture(
    panoptic: np.ndarray, path: str, label2cat: Mapping[int, int], num_classes: int
) -> list[dict[str, int]]:
    """Write the picture of one panoptic map.

    Args:
        panoptic: (h, w) label plus number of the object times ``INSTANCE_OFFSET``; label ``num_classes`` is void.
        path: where to.
        label2cat: label -> category id; segments of other labels cannot be written and become void.
        num_classes: number of labels.

    Returns:
        ``segments_info``: ``id``, ``category_id`` and ``area`` of each segment.
    """
    values, inverse, areas = np.unique(panoptic, return_inverse=True, return_counts=True)
    labels = values % INSTANCE_OFFSET
    known = np.asarray([label in label2cat and label != num_classes for label in labels.tolist()], dtype=bool)
    ids = np.where(known, np.where(values == VOID, LABEL_ZERO_ID, values), VOID)
    mmcv.imwrite(id2rgb(ids[inverse].reshape(panoptic.shape))[..., ::-1], path)
    return [
        dict(id=segment_id, category_id=label2cat[label], area=area)
        for segment_id, label, area in zip(ids[known].tolist(), labels[known].tolist(), areas[known].tolist())
    ]


def parse_pq_results(pq_results: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Figures of all categories, of things and of stuff, in per cent: ``PQ``, ``SQ``, ``RQ``, ``PQ_th``, ..."""
    return {
        figure.upper() + ending: 100 * pq_results[group][figure]
        for group, ending in GROUPS.items()
        for figure in FIGURES
    }


def print_panoptic_table(
    pq_results: Mapping[str, Mapping[str, float]],
    classwise_results: Mapping[str, Mapping[str, float]] | None = None,
    logger: logging.Logger | str | None = None,
) -> None:
    """Print the figures as a table.

    Args:
        pq_results: ``All``, ``Things``, ``Stuff`` -> ``pq``, ``sq``, ``rq`` in [0, 1] and ``n``.
        classwise_results: name of the class -> ``pq``, ``sq``, ``rq``; None: no such table.
        logger: a logger, None (print) or ``'silent'``.
    """
    rows = [[name, *_percent(pq_results[name]), pq_results[name]['n']] for name in GROUPS]
    _print_table('Panoptic quality', [['', 'PQ', 'SQ', 'RQ', 'categories'], *rows], logger)
    if classwise_results is not None:
        rows = [[name, *_percent(figures)] for name, figures in classwise_results.items()]
        _print_table('Panoptic quality of each class', [['category', 'PQ', 'SQ', 'RQ'], *rows], logger)


def _percent(figures: Mapping[str, float]) -> list[str]:
    return [f'{100 * figures[name]:.3f}' for name in FIGURES]


def _print_table(title: str, rows: Sequence[Sequence[Any]], logger: logging.Logger | str | None) -> None:
    print_log(f'\n{title}:\n{AsciiTable(rows).table}', logger=logger)
