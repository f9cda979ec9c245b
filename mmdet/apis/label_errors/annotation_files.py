"""Annotation files with suggestions: for label tools to import, and with what was accepted."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.apis.label_errors.labelled_images import Source
from mmdet.apis.label_errors.suggestions import MISPLACED, MISSING, SWAPPED, Report, Suggestion
from mmdet.apis.launch import UserError
from mmdet.utils import atomic_write
from mmdet.utils.registry import did_you_mean

# where label tools look for what they show beside a box
ATTRIBUTES = 'attributes'
SUGGESTION = 'suggestion'
ACCEPTED = 'accepted'


def suggestion_id(source: str, image_id: int, number: int) -> str:
    """What a suggestion is called in all outputs; ``number`` is its place among those of the image, from 0."""
    return f'{source}/{image_id}/{number}'


def numbered(reports: Iterable[Report]) -> dict[str, tuple[Report, Suggestion]]:
    """The suggestions by their names, in the order of the reports."""
    return {
        suggestion_id(report.image.source, report.image.image_id, number): (report, suggestion)
        for report in reports
        for number, suggestion in enumerate(report.suggestions)
    }


def read_annotations(source: Source) -> dict[str, Any]:
    """The annotation file of a data set, as it is on the disk."""
    return json.loads(source.ann_file.read_text(encoding='utf-8'))


def xywh(box: Sequence[float]) -> list[float]:
    """COCO's box of corners."""
    x1, y1, x2, y2 = box
    return [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]


def box_fields(box: Sequence[float]) -> dict[str, Any]:
    """The entries of an annotation that follow from its box; its outline is the box's."""
    x, y, w, h = xywh(box)
    outline = [x, y, x + w, y, x + w, y + h, x, y + h]
    return dict(bbox=[x, y, w, h], area=round(w * h, 2), segmentation=[outline])


def marked(source: Source, reports: Sequence[Report]) -> dict[str, Any]:
    """The annotation file of a data set with its suggestions as annotations of their own.

    A suggestion has ``attributes`` (``suggestion``: its kind, ``probability``, ``name``, and ``replaces``, the id of
    the annotation that it would change), which CVAT shows beside the box. What was annotated before is there without a
    change.
    """
    content = read_annotations(source)
    rows = list(content.get('annotations', []))
    next_id = 1 + max((row['id'] for row in rows), default=0)
    of_label = source.dataset._label2cat()
    for name, (report, suggestion) in numbered(r for r in reports if r.image.source == source.name).items():
        attributes = {SUGGESTION: suggestion.kind, 'probability': round(suggestion.probability, 3), 'name': name}
        if suggestion.ann_id is not None:
            attributes['replaces'] = suggestion.ann_id
        new = dict(id=next_id, image_id=report.image.image_id, category_id=of_label[suggestion.label], iscrowd=0)
        rows.append({**new, **box_fields(suggestion.box), ATTRIBUTES: attributes})
        next_id += 1
    return {**content, 'annotations': rows}


def accepted_names(
    named: Mapping[str, tuple[Report, Suggestion]], accept: Sequence[str], least: float, others: Sequence[str] = ()
) -> set[str]:
    """The names of the suggestions that are to be carried out.

    Args:
        named: all suggestions, see :func:`numbered`.
        accept: ``'all'``, kinds, names, or files with a name a line; several together.
        least: least probability of those chosen by ``'all'`` or by kind.
        others: what the caller understands beside suggestions; named in the error.

    Raises:
        UserError: there is no such suggestion.
    """
    chosen: set[str] = set()
    for entry in accept:
        if entry in named:
            chosen.add(entry)
        elif entry == 'all' or entry in (MISSING, SWAPPED, MISPLACED):
            chosen |= {n for n, (_, s) in named.items() if entry in ('all', s.kind) and s.probability >= least}
        elif Path(entry).is_file():
            lines = Path(entry).read_text(encoding='utf-8').split()
            chosen |= accepted_names(named, lines, least, others)
        else:
            words = [*others, 'all', MISSING, SWAPPED, MISPLACED]
            raise UserError(
                f'--apply {entry}: there is no such suggestion, kind or file{did_you_mean(entry, [*named, *words])} '
                f'Accepted are {", ".join(words)}, names from the table, and files with a name a line'
            )
    return chosen


def mended(source: Source, reports: Sequence[Report], accepted: Collection[str]) -> tuple[dict[str, Any], Counter[str]]:
    """The annotation file of a data set with the accepted suggestions carried out, and how many of each kind.

    What is new or changed has ``attributes.accepted``, the name of the suggestion. A box in a new place takes an
    outline of four corners, and loses its keypoints.
    """
    content = read_annotations(source)
    rows = {row['id']: dict(row) for row in content.get('annotations', [])}
    next_id = 1 + max(rows, default=0)
    of_label = source.dataset._label2cat()
    counts: Counter[str] = Counter()
    for name, (report, suggestion) in numbered(r for r in reports if r.image.source == source.name).items():
        if name not in accepted:
            continue
        counts[suggestion.kind] += 1
        if suggestion.ann_id is None:
            row = dict(id=next_id, image_id=report.image.image_id, iscrowd=0, **box_fields(suggestion.box))
            next_id += 1
        else:
            row = rows[suggestion.ann_id]
        if suggestion.kind == MISPLACED:
            row.update(box_fields(suggestion.box))
            row.pop('keypoints', None)
            row.pop('num_keypoints', None)
        row['category_id'] = of_label[suggestion.label]
        row[ATTRIBUTES] = {**row.get(ATTRIBUTES, {}), ACCEPTED: name}
        rows[row['id']] = row
    return {**content, 'annotations': list(rows.values())}, counts


def write_annotations(content: Mapping[str, Any], path: Path) -> None:
    """Write an annotation file."""
    with atomic_write(path, encoding='utf-8') as file:
        json.dump(content, file)
