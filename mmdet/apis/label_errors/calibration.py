"""From scores to probabilities: how likely a detection is right about an object, annotated or not."""

from collections.abc import Callable, Sequence

import numpy as np

from mmdet.apis.label_errors.labelled_images import Detections, LabelledImage
from mmdet.apis.label_errors.matching import FREE, Matches
from mmdet.apis.label_errors.missing_rate import FEWEST, Group, Groups, Rate
from mmdet.apis.label_errors.scoring import cleanlab_rank

HIGHEST_RATE = 0.99  # of a class that nobody annotated the ratio to the annotated ones would be infinite


class Calibration:
    """Probabilities for the detections of a group.

    Isotonic regressions on the scores give how likely a detection of that score is where nothing is annotated, ``f``,
    and at an annotated object of its class, ``g``. With ``r`` missing objects for each annotated one, it is right about
    some object, annotated or not, with probability ``(1 + r) g``; one where nothing is annotated is right about a
    missing object with probability ``r g / f``. Neither is more than 1.

    Args:
        group: its detections.
        rate: missing rate of the group; NaN: 0.
    """

    def __init__(self, group: Group, rate: float) -> None:
        rate = min(0.0 if np.isnan(rate) else rate, HIGHEST_RATE)
        self.ratio = rate / (1 - rate)
        self.same = _rising(group.scores, group.same)
        self.annotated = _rising(group.scores, ~group.free)

    def right(self, scores: np.ndarray) -> np.ndarray:
        """(n,) probability that detections of these scores (n,) are right about an object."""
        return np.minimum((1 + self.ratio) * self.same(scores), 1)

    def right_about_missing(self, scores: np.ndarray) -> np.ndarray:
        """(n,) the same of detections where nothing is annotated."""
        return np.minimum(self.ratio * self.same(scores) / np.maximum(1 - self.annotated(scores), 1e-9), 1)


def _rising(scores: np.ndarray, hits: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The part of hits (n,) as a function of scores (n,) that never falls; 0 where there are none."""
    cleanlab_rank()  # scikit-learn comes with it
    from sklearn.isotonic import IsotonicRegression

    if not len(scores):
        return lambda asked: np.zeros(len(asked))
    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds='clip').fit(scores, hits)
    return lambda asked: curve.predict(asked) if len(asked) else np.zeros(0)


def calibrate(
    images: Sequence[LabelledImage], matches: Sequence[Matches], rates: Sequence[Rate], num_classes: int
) -> list[Detections]:
    """The detections of the matches of N images with probabilities in place of scores.

    Those where nothing is annotated get the probability of a missing object, all others that of any object.

    Args:
        images: N images.
        matches: of their detections.
        rates: of their data sets and classes, see :func:`mmdet.apis.label_errors.missing_rate.estimate_missing_rates`.
        num_classes: number of classes.
    """
    groups = Groups(images, matches)
    curves: dict[tuple[str, int], Calibration] = {}
    for source in dict.fromkeys(image.source for image in images):
        of_source = [rate for rate in rates if rate.source == source]
        whole = groups.find(source)
        for label in range(num_classes):
            own = groups.find(source, label)
            enough = min((~own.free).sum(), own.free.sum()) >= FEWEST
            rate = of_source[1 + label].rate
            curves[source, label] = Calibration(own if enough else whole, rate if enough else of_source[0].rate)
    return [
        _calibrated(match, [curves[image.source, k] for k in range(num_classes)])
        for image, match in zip(images, matches)
    ]


def _calibrated(match: Matches, curves: Sequence[Calibration]) -> Detections:
    """The detections of an image, in their order, with probabilities."""
    found, free = match.found, match.kind == FREE
    probabilities = np.zeros(len(found.scores), np.float32)
    for label in np.unique(found.labels):
        own = found.labels == label
        probabilities[own & free] = curves[label].right_about_missing(found.scores[own & free])
        probabilities[own & ~free] = curves[label].right(found.scores[own & ~free])
    return found._replace(scores=probabilities)
