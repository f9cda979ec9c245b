"""How good the labels of an image look to a detector, scored by cleanlab.

The method: Tkachenko, Thyagarajan and Mueller, "ObjectLab: Automated Detection of Quality Issues in Labeled Images",
2023.
"""

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import NamedTuple

import numpy as np

from mmdet.apis.label_errors.labelled_images import Detections, LabelledImage
from mmdet.utils.errors import ReportedError
from mmdet.utils.running.progress import tracked

LEAST = 0.5  # probability from which on a detection speaks against a label
IN_PLAY = 0.1  # detections that are less probable are not handed over: each costs time, none counts


class MissingPackageError(ReportedError, ImportError):
    """An optional package is asked for and not installed."""


class ImageScores(NamedTuple):
    """Scores in [0, 1] of N images; 1 is a label that looks right."""

    quality: np.ndarray  # (N,) geometric mean of the other three
    missing: np.ndarray  # (N,) no object seems to be without a box
    swapped: np.ndarray  # (N,) no box seems to have another class
    misplaced: np.ndarray  # (N,) no box seems to have another place
    swapped_boxes: list[np.ndarray]  # N times (G,): the same of each box
    misplaced_boxes: list[np.ndarray]  # N times (G,)


def cleanlab_rank() -> ModuleType:
    """``cleanlab.object_detection.rank``.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        from cleanlab.object_detection import rank
    except ImportError as error:
        raise MissingPackageError(
            f'label errors are scored by cleanlab, which cannot be imported ({error}): pip install "cleanlab>=2.9" '
            '(the extra mmdet[label_errors] has it)'
        ) from error
    return rank


def score_images(
    images: Sequence[LabelledImage], found: Sequence[Detections], num_classes: int, least: float = LEAST
) -> ImageScores:
    """Score the labels of N images.

    Args:
        images: with their labels.
        found: detections on them; their scores are probabilities (see :mod:`mmdet.apis.label_errors.calibration`).
        num_classes: number of classes.
        least: probability from which on a detection speaks against a label.

    Raises:
        MissingPackageError: cleanlab is not installed.
    """
    rank = cleanlab_rank()
    labels = [dict(bboxes=image.boxes, labels=image.labels) for image in images]
    both = dict(labels=labels, predictions=[_by_class(one, num_classes) for one in found])
    steps = (
        partial(rank.compute_overlooked_box_scores, **both, high_probability_threshold=least),
        partial(rank.compute_swap_box_scores, **both, high_probability_threshold=least),
        partial(rank.compute_badloc_box_scores, **both, low_probability_threshold=least),
    )
    missing, swapped, misplaced = (score() for score in tracked(steps, 'scoring labels: missing, swapped, misplaced'))
    pooled = [rank.pool_box_scores_per_image(scores) for scores in (missing, swapped, misplaced)]
    quality = np.exp(np.mean(np.log(np.maximum(pooled, 1e-100)), axis=0))
    return ImageScores(quality, pooled[0], pooled[1], pooled[2], swapped, misplaced)


def _by_class(found: Detections, num_classes: int) -> list[np.ndarray]:
    """Detections as cleanlab wants them: (n, 5) for each class."""
    rows = np.concatenate([found.boxes, found.scores[:, None]], axis=1).astype(np.float64)
    probable = found.scores >= IN_PLAY
    return [rows[probable & (found.labels == label)] for label in range(num_classes)]
