"""What should be changed in the annotations: boxes that are missing, of another class, or in another place."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmdet.apis.label_errors.labelled_images import Detections, LabelledImage
from mmdet.apis.label_errors.matching import FREE, Matches
from mmdet.apis.label_errors.scoring import LEAST, ImageScores
from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps
from mmdet.utils.running.progress import tracked

MISSING, SWAPPED, MISPLACED = 'missing', 'swapped', 'misplaced'
KINDS = (MISSING, SWAPPED, MISPLACED)
SAME_OBJECT = 0.5  # IoU from which on a detection of another class is of the annotated object
WELL_PLACED = 0.65  # IoU from which on a box is where the detector would put it


class Suggestion(NamedTuple):
    """A change to the annotations of an image."""

    kind: str  # one of KINDS
    box: tuple[float, float, float, float]  # xyxy px, as it should be
    label: int  # as it should be
    probability: float  # that the detection is right
    score: float  # in [0, 1], the lower the worse: cleanlab's of the box; of a missing box one minus the probability
    ann_id: int | None = None  # of the annotation that is to change; None: a new one
    old_box: tuple[float, float, float, float] | None = None  # of that annotation
    old_label: int | None = None


class Report(NamedTuple):
    """An image and what is to be changed there."""

    image: LabelledImage
    quality: float  # of its labels, in [0, 1]; see ImageScores
    suggestions: list[Suggestion]  # the most probable first

    def count(self, kind: str) -> int:
        """Suggestions of a kind."""
        return sum(suggestion.kind == kind for suggestion in self.suggestions)

    @property
    def expected_errors(self) -> float:
        """Suggestions that are right, on average."""
        return sum(suggestion.probability for suggestion in self.suggestions)


def reports_of(
    images: Sequence[LabelledImage],
    matches: Sequence[Matches],
    probable: Sequence[Detections],
    scores: ImageScores,
    least: float = LEAST,
) -> list[Report]:
    """Images with their suggestions, those with the most errors to expect first, then by the quality of their labels.

    Args:
        images: N images.
        matches: of their detections.
        probable: the same detections with probabilities.
        scores: of the labels.
        least: probability from which on a detection leads to a suggestion.
    """
    reports = []
    rows = list(zip(images, matches, probable))
    for i, (image, match, found) in enumerate(tracked(rows, 'looking for errors of labels')):
        chosen = [*missing_boxes(match, found, least), *changed_boxes(image, found, scores, i, least)]
        chosen.sort(key=lambda suggestion: -suggestion.probability)
        reports.append(Report(image, float(scores.quality[i]), chosen))
    return sorted(reports, key=lambda report: (-report.expected_errors, report.quality))


def missing_boxes(match: Matches, found: Detections, least: float) -> list[Suggestion]:
    """Boxes for detections where nothing is annotated."""
    numbers = np.flatnonzero((match.kind == FREE) & (found.scores >= least))
    return [
        Suggestion(
            MISSING, _box(found.boxes[n]), int(found.labels[n]), float(found.scores[n]), 1 - float(found.scores[n])
        )
        for n in numbers
    ]


def changed_boxes(
    image: LabelledImage, found: Detections, scores: ImageScores, number: int, least: float
) -> list[Suggestion]:
    """Other classes or places for the annotated boxes of an image; ``number`` is its place in the scores."""
    chosen = found.scores >= least
    boxes, labels, probabilities = found.boxes[chosen], found.labels[chosen], found.scores[chosen]
    if not len(boxes) or not len(image.boxes):
        return []
    overlaps = bbox_overlaps(image.boxes, boxes)  # (G, D)
    best, overlap = overlaps.argmax(1), overlaps.max(1)
    owner = overlaps.argmax(0)  # a detection speaks about one object
    suggestions = []
    for g in np.flatnonzero((overlap > 0) & (owner[best] == np.arange(len(best)))):
        d = best[g]
        same = labels[d] == image.labels[g]
        if same and 0.2 < overlap[g] < WELL_PLACED:
            kind, score = MISPLACED, scores.misplaced_boxes[number][g]
        elif not same and overlap[g] >= SAME_OBJECT:
            kind, score = SWAPPED, scores.swapped_boxes[number][g]
        else:
            continue
        new = (
            _box(boxes[d] if kind == MISPLACED else image.boxes[g]),
            int(labels[d]),
            float(probabilities[d]),
            float(score),
        )
        suggestions.append(Suggestion(kind, *new, int(image.ann_ids[g]), _box(image.boxes[g]), int(image.labels[g])))
    return suggestions


def _box(corners: np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(value), 2) for value in corners)
    return x1, y1, x2, y2
