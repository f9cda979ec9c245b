"""How many objects are not annotated: an estimate by data set and class, from detections on images not trained on.

The estimator. Annotated objects are taken for a random sample of all objects of their class in their data set, so that
a detector that was not trained on the image finds the same fraction of the annotated ones and of the others, at any
threshold ``t`` of its scores. Let ``M(t)`` be the annotated objects at which a detection scores at least ``t``, and
``U(t)`` the places without annotation where one does. Of these some are objects that nobody annotated, and the rest are
wrong: ``U(t) = r M(t) + F(t)``, where ``r`` is the number of missing objects for each annotated one. So ``U(t) / M(t)``
is never less than ``r``, and comes closest to it where wrong detections are rarest among right ones. This is mixture
proportion estimation from positive and unlabelled examples; as in Best Bin Estimation (Garg et al., "Mixture Proportion
Estimation and PU Learning: A Modern Approach", 2021) the threshold is the one at which an upper confidence bound of the
ratio is lowest, so that a small number of detections cannot make it low by chance. The missing rate is ``r / (1 + r)``.

The interval holds the 2.5th to the 97.5th percentile of the estimates from images drawn anew with replacement (objects
of an image are not independent), widened to the exact binomial interval of ``U(t)`` in ``U(t) + M(t)``, which has an
upper end even where ``U(t)`` is 0.

What it cannot see: objects that are hard to detect and seldom annotated for the same reason (the estimate is then too
low), things that the detector takes for objects with full confidence (too high), and objects that overlap others by
more than a fifth (not counted at all).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from mmdet.apis.label_errors.labelled_images import LabelledImage
from mmdet.apis.label_errors.matching import FREE, MATCHED, OTHER, Matches

FEWEST = 20  # matched detections below which a data set's class borrows threshold and recall from a larger group
CAUTION = 2.33  # standard errors between a ratio and its upper bound: 99 %
LEAST_PART, LEAST_COUNT = 0.1, 10  # of the matched detections a threshold leaves at least so many
LEVEL = 0.95  # of intervals
DRAWS = 200  # of images with replacement


class Group(NamedTuple):
    """The objects and the detections of a class in a data set, of a class in all of them, or of everything."""

    scores: np.ndarray  # (n,) of the detections that count, best first
    free: np.ndarray  # (n,) bool: where nothing is annotated; else at an annotated object
    same: np.ndarray  # (n,) bool: at an annotated object of its class
    image: np.ndarray  # (n,) number of the image of each
    objects: np.ndarray  # (G,) number of the image of each annotated object


class Rate(NamedTuple):
    """An estimate for a data set and class, or for a whole data set."""

    source: str
    category: str | None  # None: all classes
    annotated: int
    missing: float  # objects that are not annotated; NaN: the detector has found too little to say
    rate: float  # missing / (annotated + missing), in [0, 1]; NaN as above
    low: float  # ends of the interval of the rate
    high: float
    threshold: float | None = None  # of the scores; None for all classes together


class Groups:
    """All detections and objects, to be asked for those of a source and class.

    Args:
        images: N images.
        matches: of their detections.
    """

    def __init__(self, images: Sequence[LabelledImage], matches: Sequence[Matches]) -> None:
        counting = [match.kind != OTHER for match in matches]
        columns = [
            (match.found.scores, match.found.labels, match.kind == FREE, agrees(image, match))
            for image, match in zip(images, matches)
        ]
        joined = [
            np.concatenate([part[mask] for part, mask in zip(parts, counting)]) for parts in zip(*columns, strict=True)
        ]
        order = np.argsort(-joined[0], kind='stable')
        self.scores, self.labels, self.free, self.same = (part[order] for part in joined)
        self.image = np.repeat(np.arange(len(images)), [int(mask.sum()) for mask in counting])[order]
        self.object_labels = np.concatenate([image.labels for image in images])
        self.object_image = np.repeat(np.arange(len(images)), [len(image.labels) for image in images])
        self.source_of_image = np.asarray([image.source for image in images])

    def find(self, source: str | None = None, label: int | None = None) -> Group:
        """The group of a data set (None: all) and class (None: all)."""
        chosen = np.ones(len(self.scores), bool) if label is None else self.labels == label
        objects = np.ones(len(self.object_labels), bool) if label is None else self.object_labels == label
        if source is not None:
            of_source = self.source_of_image == source
            chosen, objects = chosen & of_source[self.image], objects & of_source[self.object_image]
        of_chosen = self.scores[chosen], self.free[chosen], self.same[chosen], self.image[chosen]
        return Group(*of_chosen, self.object_image[objects])

    def lender(self, source: str, label: int) -> Group:
        """The smallest group with this class of this source in which enough objects were found."""
        wider = (self.find(source, label), self.find(None, label), self.find())
        enough = (g for g in wider if (~g.free).sum() >= FEWEST and len(g.objects) >= FEWEST)
        return next(enough, wider[-1])


def agrees(image: LabelledImage, match: Matches) -> np.ndarray:
    """(D,) bool: the detections at an annotated object of their class."""
    if not len(image.labels):
        return np.zeros(len(match.kind), bool)
    return (match.kind == MATCHED) & (image.labels[match.nearest] == match.found.labels)


def best_threshold(group: Group, weights: np.ndarray) -> tuple[float, float]:
    """The threshold of a group, and the annotated objects ``M`` that score at least as much.

    Args:
        group: its detections.
        weights: (N,) how often each image counts.

    Returns:
        The threshold is infinite, and ``M`` 0, where no annotated object was found.
    """
    often = weights[group.image]
    matched, free = np.cumsum(often * ~group.free), np.cumsum(often * group.free)
    last = np.append(group.scores[1:] != group.scores[:-1], True)[: len(group.scores)]  # equal scores stay together
    all_matched = matched[-1:].sum()
    usable = np.flatnonzero(
        last & (matched > 0) & (matched >= max(LEAST_PART * all_matched, min(LEAST_COUNT, all_matched)))
    )
    if not len(usable):
        return np.inf, 0.0
    m, u = matched[usable], free[usable] + 1
    bound = np.log(u / m) + CAUTION * np.sqrt(1 / m + 1 / u)
    best = usable[bound.argmin()]
    return float(group.scores[best]), float(matched[best])


def counts_from(group: Group, threshold: float, weights: np.ndarray) -> tuple[float, float]:
    """Annotated objects and free places of a group that score at least so much."""
    often = weights[group.image] * (group.scores >= threshold)
    return float(often[~group.free].sum()), float(often[group.free].sum())


def missing_objects(own: Group, lender: Group, weights: np.ndarray) -> tuple[float, float]:
    """Objects of a group that are not annotated, and the threshold at which they were counted; NaN: nothing was found.

    They are the free places of the group itself, divided by the recall of annotated objects in the lending group.
    """
    threshold, found = best_threshold(lender, weights)
    annotated = weights[lender.objects].sum()
    if not found or not annotated:
        return np.nan, np.inf
    recall = found / annotated
    return counts_from(own, threshold, weights)[1] / recall, threshold


def estimate_missing_rates(
    images: Sequence[LabelledImage],
    matches: Sequence[Matches],
    classes: Sequence[str],
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Rate]:
    """The missing rate of each data set, and of each of its classes, in the order of the images' data sets.

    Args:
        images: N images of one or more data sets.
        matches: of the detections on them, by a detector that was not trained on them.
        classes: names.
        seed: of the drawing of images.
        draws: how often they are drawn.
    """
    groups = Groups(images, matches)
    rng = np.random.default_rng(seed)
    once = np.ones(len(images))
    drawn = [rng.multinomial(len(images), once / len(images)) for _ in range(draws)] if images else []
    rates = []
    for source in dict.fromkeys(image.source for image in images):
        cells = [(groups.find(source, k), groups.lender(source, k)) for k in range(len(classes))]
        values = np.asarray([[_row(own, lender, w) for own, lender in cells] for w in (once, *drawn)])  # (1 + D, K, 5)
        rates.append(_rate(source, None, values.sum(1)))
        rates += [_rate(source, name, values[:, k]) for k, name in enumerate(classes)]
    return rates


def _row(own: Group, lender: Group, weights: np.ndarray) -> tuple[float, ...]:
    """Annotated and missing objects of a group; annotated objects and free places that count; the threshold."""
    missing, threshold = missing_objects(own, lender, weights)
    return float(weights[own.objects].sum()), missing, *counts_from(own, threshold, weights), threshold


def _rate(source: str, category: str | None, values: np.ndarray) -> Rate:
    """The estimate from rows (1 + D, 5) of :func:`_row`, the first from the images as they are."""
    annotated, missing, matched, free, threshold = values[0]
    rates = values[:, 1] / np.maximum(values[:, 0] + values[:, 1], 1e-12)
    if np.isnan(rates[0]):
        return Rate(source, category, int(annotated), np.nan, np.nan, 0.0, 1.0)
    tail = (1 - LEVEL) / 2
    drawn = rates[1:][np.isfinite(rates[1:])]
    ends = np.quantile(drawn, (tail, 1 - tail)) if len(drawn) else (rates[0], rates[0])
    exact = binomial_interval(free, matched)
    low, high = min(ends[0], exact[0], rates[0]), max(ends[1], exact[1], rates[0])
    numbers = float(missing), float(rates[0]), float(low), float(high)
    return Rate(source, category, int(annotated), *numbers, None if category is None else float(threshold))


def binomial_interval(hits: float, others: float) -> tuple[float, float]:
    """Exact interval (Clopper and Pearson) of a proportion, of ``hits`` in ``hits + others``."""
    tail = (1 - LEVEL) / 2
    low = stats.beta.ppf(tail, hits, others + 1) if hits else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, others) if others else 1.0
    return float(low), float(high)
