"""Training directives for data sets whose labels are incomplete, from estimated missing rates."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mmdet.apis.label_errors.labelled_images import Source
from mmdet.apis.label_errors.missing_rate import Rate
from mmdet.apis.label_errors.suggestions import MISSING, Report
from mmdet.apis.launch import UserError
from mmdet.core.directives import CLASS_KEYS, NEGATIVES, UNLABELED_CLASSES
from mmdet.utils import atomic_write

WORTH_A_POLICY = 0.1  # missing rate whose lower end makes a policy of negatives pay
WORTH_A_TEACHER = 0.4  # missing rate whose lower end makes a teacher pay, see docs/experiments/teacher_boxes.md
NEVER_ANNOTATED = 0.8  # missing rate of a class whose lower end says that nobody looked for it
POLICY = 'overlap'  # what the experiments on missing labels favour
NO_DIRECTIVES: Mapping[str, Collection[str]] = MappingProxyType({})  # default of a mapping


def advise(rates: Sequence[Rate]) -> dict[str, dict[str, Any]]:
    """Directives for the images of each data set that needs some.

    A class that is hardly annotated at all is named as unlabelled; a data set of which objects of the other classes are
    missing gets a policy of negatives. Lower ends of intervals decide, so that little evidence leads to nothing.

    Returns:
        Data set -> directive -> value.
    """
    found: dict[str, dict[str, Any]] = {}
    for source in dict.fromkeys(rate.source for rate in rates):
        own = [rate for rate in rates if rate.source == source and rate.category is not None]
        never = [rate.category for rate in own if rate.low >= NEVER_ANNOTATED]
        rest = [rate for rate in own if rate.category not in never]
        directives: dict[str, Any] = {}
        if never and rest:
            directives[UNLABELED_CLASSES] = never
        if lowest_rate(rest) >= WORTH_A_POLICY:
            directives[NEGATIVES] = POLICY
        if directives:
            found[source] = directives
    return found


def lowest_rate(rates: Sequence[Rate]) -> float:
    """A lower end of the missing rate of some classes together: theirs, by the objects that they have."""
    known = [rate for rate in rates if np.isfinite(rate.rate)]
    objects = np.asarray([rate.annotated + rate.missing for rate in known])
    return float((objects * [rate.low for rate in known]).sum() / max(objects.sum(), 1e-9))


def sentences(rates: Sequence[Rate], declared: Mapping[str, Collection[str]] = NO_DIRECTIVES) -> list[str]:
    """What the estimates say and which directives follow, a sentence for each data set.

    Args:
        rates: estimates.
        declared: directives that images of a data set have already, so that they are not advised.
    """
    advice = advise(rates)
    lines = []
    for rate in rates:
        if rate.category is not None:
            continue
        if not np.isfinite(rate.rate):
            lines.append(
                f'{rate.source}: the detector found too little that is annotated to say how many objects are missing'
            )
            continue
        text = f'{rate.source}: {rate.rate:.0%} of the objects are not annotated ({rate.low:.0%} to {rate.high:.0%})'
        given = declared.get(rate.source, ())
        directives = {key: value for key, value in advice.get(rate.source, {}).items() if key not in given}
        lines.append(f'{text}; for its images: {step_text(directives)}' if directives else text)
        if rate.low >= WORTH_A_TEACHER:
            lines.append(
                f'{rate.source}: a detector that is trained on so small a part of the objects gains by going on with a '
                'teacher (docs/teacher.md)'
            )
    return lines


def step_text(directives: Mapping[str, Any]) -> str:
    """The pipeline step that gives the directives to all images of a data set."""
    return f"dict(type='AddFieldToImgMetas', fields={list(directives)}, values={list(directives.values())})"


def directed(
    content: Mapping[str, Any], source: Source, reports: Sequence[Report], directives: Mapping[str, Any]
) -> tuple[dict[str, Any], Counter[str]]:
    """An annotation file whose image entries have training directives, and how many images have each.

    Every image gets the directives of its data set; one on which a box is likely to be missing gets the policy of
    negatives in any case. What an entry says already stays. Classes are category ids, as in every file.

    Args:
        content: the annotation file.
        source: whose it is.
        reports: of its images.
        directives: of all its images, see :func:`mmdet.apis.label_errors.advice.advise`.
    """
    of_label, classes = source.dataset._label2cat(), source.dataset.CLASSES
    directives = {
        key: [of_label[classes.index(name)] for name in value if classes.index(name) in of_label]
        if key in CLASS_KEYS
        else value
        for key, value in directives.items()
    }
    lacking = {r.image.image_id for r in reports if r.image.source == source.name and r.count(MISSING)}
    images: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for entry in content['images']:
        own = {**({NEGATIVES: POLICY} if entry['id'] in lacking else {}), **directives}
        counts.update(key for key in own if key not in entry)
        images.append({**own, **entry})
    return {**content, 'images': images}, counts


def write_rates(rates: Iterable[Rate], path: Path) -> None:
    """Write estimates as JSON; numbers that are not known are null."""
    rows = [
        {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in rate._asdict().items()
        }
        for rate in rates
    ]
    with atomic_write(path, encoding='utf-8') as file:
        json.dump(dict(missing_rates=rows, advice=advise(read_rows(rows))), file, indent=1)


def read_rates(path: str | Path) -> list[Rate]:
    """The estimates that :func:`write_rates` wrote.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    if not Path(path).is_file():
        raise UserError(f'there are no missing rates at {path}; tools/analysis_tools/find_label_errors.py writes them')
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        return read_rows(content['missing_rates'])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path} holds no missing rates ({type(error).__name__}: {error}); expected missing_rates.json of '
            'tools/analysis_tools/find_label_errors.py'
        ) from error


def read_rows(rows: Sequence[Mapping[str, Any]]) -> list[Rate]:
    """Estimates from plain values; null is NaN where a number is expected."""
    unknown = dict(missing=np.nan, rate=np.nan)
    return [Rate(**{**row, **{key: value for key, value in unknown.items() if row[key] is None}}) for row in rows]
