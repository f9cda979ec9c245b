"""The ranked images and the missing rates as CSV and Markdown."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmdet.apis.label_errors.annotation_files import numbered
from mmdet.apis.label_errors.missing_rate import Rate
from mmdet.apis.label_errors.suggestions import KINDS, Report
from mmdet.utils import atomic_write

IMAGE_COLUMNS = ('rank', 'source', 'image_id', 'file', 'quality', *KINDS, 'expected_errors')
SUGGESTION_COLUMNS = (
    'name',
    'kind',
    'probability',
    'score',
    'file',
    'class',
    'x1',
    'y1',
    'x2',
    'y2',
    'ann_id',
    'old_class',
)
RATE_COLUMNS = ('source', 'class', 'annotated', 'missing', 'rate', 'interval')


def image_rows(reports: Sequence[Report]) -> list[list[str]]:
    """Images with suggestions, the worst first: a row for each, of ``IMAGE_COLUMNS``."""
    rows = []
    for rank, report in enumerate((r for r in reports if r.suggestions), 1):
        image = report.image
        counts = [str(report.count(kind)) for kind in KINDS]
        numbers = [f'{report.quality:.3g}', *counts, f'{report.expected_errors:.2f}']
        rows.append([str(rank), image.source, str(image.image_id), image.path, *numbers])
    return rows


def suggestion_rows(reports: Sequence[Report], classes: Sequence[str]) -> list[list[str]]:
    """Suggestions in the order of the images: a row for each, of ``SUGGESTION_COLUMNS``."""
    rows = []
    for name, (report, found) in numbered(reports).items():
        old = '' if found.old_label is None else classes[found.old_label]
        numbers = [f'{found.probability:.3f}', f'{found.score:.3g}']
        row = [name, found.kind, *numbers, report.image.path, classes[found.label], *map(str, found.box)]
        rows.append([*row, '' if found.ann_id is None else str(found.ann_id), old])
    return rows


def rate_rows(rates: Sequence[Rate]) -> list[list[str]]:
    """Missing rates, a row for each, of ``RATE_COLUMNS``."""
    rows = []
    for rate in rates:
        known = np.isfinite(rate.rate)
        numbers = [f'{rate.missing:.0f}', f'{rate.rate:.2f}'] if known else ['-', '-']
        interval = f'{rate.low:.2f} to {rate.high:.2f}' if known else '-'
        rows.append([rate.source, rate.category or 'all', str(rate.annotated), *numbers, interval])
    return rows


def write_csv(columns: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> None:
    """Write a table as CSV."""
    with atomic_write(path, encoding='utf-8', newline='') as file:
        csv.writer(file).writerows([columns, *rows])


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join(f'| {" | ".join(cell.replace("|", "/") for cell in line)} |' for line in lines)
