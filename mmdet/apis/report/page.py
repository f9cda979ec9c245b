"""The HTML page of a report: its data as JSON, its pictures, and the template around them."""

import base64
import json
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from mmdet.apis.report.class_scores import curves_csv
from mmdet.apis.report.mistakes import KINDS, Detected
from mmdet.apis.report.run import Detections, Run, Settings
from mmdet.datasets.audit.audit import short_counts
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.progress import tracked

TEMPLATES = Path(__file__).parent / 'templates'
MAX_DRAWN = 100  # detections of one picture
JPEG_QUALITY = 85
MISSING = '–'
MAX_MATRIX = 60  # classes; of more only the most frequent confusions are listed
MAX_CONFUSIONS = 60
TITLES = {
    'mAP': 'AP at IoU 0.50:0.95',
    'mAP_50': 'AP at IoU 0.50',
    'mAP_75': 'AP at IoU 0.75',
    'mAP_s': 'AP of small objects (area below 32² px)',
    'mAP_m': 'AP of medium objects',
    'mAP_l': 'AP of large objects (above 96² px)',
}


class Pictures:
    """Images for a page: in the page itself, or files of a folder beside it.

    Args:
        side: px, of the longer side at most.
        folder: where the files go; None: into the page.
        page_folder: that links are relative to.
        inputs: files that no picture may replace.
    """

    def __init__(self, side: int, folder: Path | None, page_folder: Path, inputs: Iterable[str] = ()) -> None:
        self.side = side
        self.folder = folder
        self.page_folder = page_folder
        self._paths = OutputPaths(folder, inputs=inputs) if folder else None

    def link(self, img: NDArray[Any], name: str) -> str:
        """What an ``href`` of the page says for an image (H, W, 3)."""
        scale = min(1.0, self.side / max(img.shape[:2]))
        if scale < 1:
            img = cv2.resize(img, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        done, content = cv2.imencode('.jpg', img, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise ValueError(f'{name} could not be written as JPEG')
        if self._paths is None:
            return 'data:image/jpeg;base64,' + base64.b64encode(content.tobytes()).decode()
        path = self._paths(name, ending='.jpg')
        path.write_bytes(content.tobytes())
        return _relative(path, self.page_folder)


def write_page(run: Run, path: Path, other: Run | None, settings: Settings, pictures: Path | None = None) -> list[str]:
    """Write the page of a run.

    Args:
        run: what it is about.
        path: of the page.
        other: a run to compare it with.
        settings: of the pictures.
        pictures: folder for pictures as files; None: they are in the page.

    Returns:
        the notes on the page: those of the runs, and what writing it added.
    """
    if other is not None:
        run, other = _distinct_names(run, other)
    runs = [run] if other is None else [run, other]
    inputs = [image.sample.path for one in runs if one.detections for image in one.detections.images]
    place = Pictures(settings.picture_side, pictures, path.parent, inputs)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, percent=percent, share=share)
    data, unread = page_data(run, other, place)
    run = run._replace(notes=[*run.notes, *_other_data(run, other), *unread])
    runs = [run] if other is None else [run, other]
    text = environment.get_template('report.html').render(
        runs=runs,
        fact_names=list(dict.fromkeys(name for one in runs for name in one.facts)),
        figures=figure_rows(runs),
        classes=class_rows(runs),
        kinds=KINDS,
        confusions=confusions(run.detections),
        max_matrix=MAX_MATRIX,
        curves_csv=_csv_link(run.detections),
        data=_as_json(data),
        file=partial(_source, environment),
        difference=difference,
        short_counts=short_counts,
    )
    with atomic_write(path, encoding='utf-8') as file:
        file.write(text)
    return [note for one in runs for note in one.notes]


def _distinct_names(run: Run, other: Run) -> tuple[Run, Run]:
    """Runs whose folders have one name are called by their paths."""
    if run.name != other.name:
        return run, other
    first, second = (one._replace(name=one.facts['work folder']) for one in (run, other))
    return first, second


def _other_data(run: Run, other: Run | None) -> list[str]:
    """A note where two runs were not evaluated on the same images."""
    if other is None or run.detections is None or other.detections is None:
        return []
    own, others = (_by_file(one.detections.images).keys() for one in (run, other) if one.detections)
    if own == others:
        return []
    return [
        f'The runs were evaluated on different images ({len(own)} and {len(others)}, {len(own & others)} in common): '
        'their figures cannot be compared.'
    ]


def number(value: float | None) -> str:
    """Three digits; a dash for what does not exist, which some metrics say by -1 or NaN."""
    return MISSING if value is None or value != value or value < 0 else f'{value:.3f}'


def difference(first: float | None, second: float | None) -> str:
    """How much more the first run has, with its sign; a dash where one of them has nothing."""
    if MISSING in (number(first), number(second)) or first is None or second is None:
        return MISSING
    return f'{first - second:+.3f}'


def percent(value: float) -> str:
    """``'37'`` of 0.37."""
    return f'{100 * value:.0f}'


def share(row: NDArray[Any], column: int) -> float:
    """The fraction of a row's counts in one column; 0 of nothing."""
    return float(row[column] / max(row.sum(), 1))


def figure_rows(runs: list[Run]) -> list[tuple[str, str, list[float | None]]]:
    """Name, meaning and value for each run of every figure of the evaluation."""
    found = [one.detections.figures if one.detections else {} for one in runs]
    names = dict.fromkeys(name for figures in found for name in figures)
    endings = sorted(TITLES, key=len, reverse=True)
    rows = []
    for name in names:
        ending = next((end for end in endings if name == end or name.endswith(f'_{end}')), None)
        rows.append((name, TITLES[ending] if ending else '', [figures.get(name) for figures in found]))
    return rows


def class_rows(runs: list[Run]) -> list[dict[str, Any]]:
    """For each class its scores and counts in each run, None in a run that does not have it."""
    rows: dict[str, dict[str, Any]] = {}
    for i, one in enumerate(runs):
        if one.detections is None:
            continue
        for scores, kinds in zip(one.detections.scores, one.detections.kinds):
            row = rows.setdefault(scores.name, dict(name=scores.name, scores=[None] * len(runs), kinds=None))
            row['scores'][i] = scores
            row['kinds'] = row['kinds'] or kinds
    return list(rows.values())


def confusions(found: Detections | None) -> list[tuple[str, str, int]]:
    """The most frequent confusions: class of the object, class of the detection, how often."""
    if found is None:
        return []
    names = [scores.name for scores in found.scores] + ['background']
    wrong = found.confusion * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind='stable')[:MAX_CONFUSIONS]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [(names[row], names[column], int(wrong[row, column])) for row, column in pairs if wrong[row, column]]


def page_data(run: Run, other: Run | None, pictures: Pictures) -> tuple[dict[str, Any], list[str]]:
    """What the scripts of the page draw, and a note of each picture that cannot be made."""
    runs = [run] if other is None else [run, other]
    found, unread = run.detections, []
    data: dict[str, Any] = dict(
        runs=[one.name for one in runs],
        history=[
            dict(losses=h.losses, source_losses=h.source_losses, figures=h.figures)
            for h in (one.history for one in runs)
        ],
        curves=[_curve_data(one.detections) for one in runs],
        classes=_all_classes(runs),
        examples=[],
        images={},
    )
    if found is not None:
        data['examples'] = [example._asdict() for example in found.examples]
        others = _by_file(other.detections.images) if other and other.detections else {}
        wanted = {example.image for example in found.examples}
        shown = [image for image in found.images if image.sample.number in wanted]
        for image in tracked(shown, 'pictures of the report'):
            try:
                content = _image_data(image, others.get(_key(image)), pictures, data['classes'])
            except (OSError, ValueError) as error:
                unread.append(f'A picture is left out: {error}')
                continue
            data['images'][image.sample.number] = content
        data['examples'] = [example for example in data['examples'] if example['image'] in data['images']]
    return data, unread


def _all_classes(runs: Iterable[Run]) -> list[str]:
    """The classes of the first run, and what others have besides."""
    return list(dict.fromkeys(own.name for one in runs if one.detections for own in one.detections.scores))


def _curve_data(found: Detections | None) -> list[dict[str, Any]]:
    if found is None:
        return []
    return [
        dict(name=own.name, threshold=own.threshold, f1=own.f1, precision=own.precision, recall=own.recall)
        | own.curve._asdict()
        for own in found.scores
        if own.curve.scores
    ]


def _image_data(image: Detected, other: Detected | None, pictures: Pictures, classes: Sequence[str]) -> dict[str, Any]:
    img = image.sample.read_image()
    annotation = image.sample.annotation
    boxes = np.asarray(annotation['bboxes'], np.float32).reshape(-1, 4)
    ignored = annotation.get('bboxes_ignore')
    return dict(
        src=pictures.link(img, image.sample.name),
        width=img.shape[1],
        height=img.shape[0],
        name=image.sample.name,
        source=image.sample.source,
        objects=[
            dict(box=_rounded(box), label=int(label), missed=bool(missed))
            for box, label, missed in zip(boxes, annotation['labels'], image.missed)
        ],
        ignored=[] if ignored is None else [_rounded(box) for box in ignored],
        detections=_detection_data(image, classes),
        other=None if other is None else _detection_data(other, classes),
    )


def _detection_data(image: Detected, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Boxes with labels that are numbers in ``classes``, which another run may count otherwise."""
    names = image.sample.class_names
    rows = zip(image.dets[:MAX_DRAWN], image.labels.tolist(), image.kinds)
    return [
        dict(box=_rounded(det[:4]), label=classes.index(names[label]), score=round(float(det[4]), 3), kind=kind)
        for det, label, kind in rows
    ]


def _rounded(box: NDArray[Any]) -> list[float]:
    return [round(float(value), 1) for value in box]


def _key(image: Detected) -> tuple[str, str]:
    return image.sample.source, image.sample.name


def _by_file(images: Iterable[Detected]) -> dict[tuple[str, str], Detected]:
    return {_key(image): image for image in images}


def _csv_link(found: Detections | None) -> str:
    if found is None:
        return ''
    return 'data:text/csv;base64,' + base64.b64encode(curves_csv(found.scores).encode()).decode()


def _as_json(data: Any) -> str:
    """JSON that may stand in a script of HTML."""
    return json.dumps(data, allow_nan=False, default=lambda value: value.item()).replace('<', '\\u003c')


def _source(environment: jinja2.Environment, name: str) -> str:
    """A file of the templates as it is."""
    assert environment.loader is not None, 'made by write_page with a loader'
    return environment.loader.get_source(environment, name)[0]


def _relative(path: Path, folder: Path) -> str:
    """A link from a folder to a file, with what has a meaning in links escaped."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())
