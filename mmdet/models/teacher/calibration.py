"""Running statistics of a teacher: what its scores mean, whether it is good enough, and whether it drifts."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmdet.models.teacher.detections import Annotated, Detections, Match

PER_CLASS = ('score', 'found', 'objects', 'images')
SCALARS = (
    'recalled', 'annotated', 'found_above', 'free_above', 'pseudo', 'expected', 'ignored', 'confidence', 'completed',
    'right', 'judged', 'missing', 'hit',
)  # fmt: skip
FEWEST = 3.0  # found objects from which on a class has a threshold of its own


class Counts:
    """What one step adds to the statistics; a float64 vector by names, on the CPU.

    ==================== ==============================================================================================
    ``score``, ``found`` of each class: sum of the scores of annotated objects that were found, and their number
    ``objects``          of each class: annotated objects
    ``images``           of each class: images in which it is annotated, and that have annotated objects
    ``recalled``         annotated objects that are among the best detections, of ``annotated``
    ``found_above``      annotated objects that were found above the threshold of their class
    ``free_above``       detections above it that are no annotated object, in images that have some
    ``pseudo``           pseudo objects, of summed ``confidence``, where there should be ``expected``
    ``ignored``          ignored regions, in ``completed`` images
    ``right``, ``hit``   of ``judged`` pseudo objects those that hidden labels have; of ``missing`` hidden objects those
                         that were found
    ==================== ==============================================================================================
    """

    def __init__(self, num_classes: int, values: Tensor | None = None) -> None:
        size = num_classes * len(PER_CLASS) + len(SCALARS)
        self.num_classes = num_classes
        self.values = torch.zeros(size, dtype=torch.float64) if values is None else values

    def __getitem__(self, name: str) -> Tensor:
        """(K,) or () view of a part of the vector."""
        if name in PER_CLASS:
            start = PER_CLASS.index(name) * self.num_classes
            return self.values[start : start + self.num_classes]
        return self.values[self.num_classes * len(PER_CLASS) + SCALARS.index(name)]

    def add(self, name: str, value: Tensor | float) -> None:
        """Add to a part."""
        self[name].add_(value)

    def ratio(self, above: str, below: str) -> float:
        """One scalar by another; 0 where there is none of the latter."""
        whole = float(self[below])
        return float(self[above]) / whole if whole > 0 else 0.0


class Calibration(nn.Module):
    """Thresholds by class from the scores of annotated objects, the start by their recall, and the brake.

    Annotated objects are a sample of all objects: what scores the teacher gives to them is what it gives to the objects
    that nobody annotated. All numbers are decayed sums over the measured steps, equal on all processes.

    Args:
        num_classes: K.
        score_thr: from which score on a detection is an object: a number; None: the mean score of the annotated
            objects of its class that were found.
        ignore_thr: fraction of that from which on it is a region to be ignored.
        recall: recall of annotated objects at which the teacher begins; see :class:`Match`.
        wait: measured steps before that, at least.
        brake: how many times as many pseudo objects as expected may come before thresholds rise; 0: no brake.
        decay: of the sums, a measured step.
    """

    def __init__(
        self,
        num_classes: int,
        score_thr: float | None = None,
        ignore_thr: float = 0.5,
        recall: float = 0.75,
        wait: int = 20,
        brake: float = 1.5,
        decay: float = 0.98,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.score_thr = score_thr
        self.ignore_thr = ignore_thr
        self.recall = recall
        self.wait = wait
        self.brake = brake
        self.decay = decay
        self.register_buffer('sums', Counts(num_classes).values)
        self.register_buffer('measured', torch.zeros((), dtype=torch.long))
        self.register_buffer('begun', torch.zeros((), dtype=torch.bool))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """As of any module; a checkpoint without a teacher changes nothing."""
        if any(key.startswith(prefix) for key in state_dict):
            super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def counts(self) -> Counts:
        """The decayed sums, on the CPU."""
        return Counts(self.num_classes, self.sums.cpu())

    def measure(
        self,
        counts: Counts,
        found: Detections,
        annotated: Annotated,
        matched: Match,
        known: Tensor,
        high: Tensor,
        incomplete: bool,
    ) -> None:
        """Add one image to the counts.

        Args:
            counts: of the step.
            found, annotated, matched: of the image.
            known: (K,) bool, classes that are annotated in it.
            high: (K,) :meth:`thresholds`.
            incomplete: whether it wants to be completed; only such images tell how many objects are missing.
        """
        if not len(annotated.boxes):
            return
        for label, score in zip(annotated.labels.tolist(), matched.scores.tolist()):
            counts['objects'][label] += 1
            counts['found'][label] += score > 0
            counts['score'][label] += score
        counts.add('images', known.double())
        counts.add('recalled', matched.recalled.sum())
        counts.add('annotated', len(matched.recalled))
        if not incomplete:
            return
        counts.add('found_above', (matched.scores >= high[annotated.labels]).sum())
        above = matched.free & known[found.labels] & (found.scores >= high[found.labels])
        counts.add('free_above', above.sum())

    def update(self, counts: Counts) -> None:
        """Add the counts of a step of all processes; begin where the teacher has become good enough."""
        total = counts.values.to(self.sums)
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(total)
        self.sums.mul_(self.decay).add_(total)
        self.measured += 1
        enough = self.counts.ratio('recalled', 'annotated') >= self.recall
        if enough and int(self.measured) >= self.wait:
            self.begun.fill_(True)

    def thresholds(self) -> Tensor:
        """(K,) float: from which score on a detection is an object."""
        counts = self.counts
        if self.score_thr is not None:
            plain = torch.full((self.num_classes,), float(self.score_thr), dtype=torch.float64)
        else:
            mean = counts['score'].sum() / counts['found'].sum() if counts['found'].sum() > 0 else torch.tensor(1.0)
            own = counts['score'] / counts['found'].clamp(min=1e-9)
            plain = torch.where(counts['found'] >= FEWEST, own, mean.double())
        # under pressure half of the way up to 1, then two thirds, ...
        return (1 - (1 - plain) / self.pressure(counts)).float()

    def pressure(self, counts: Counts) -> float:
        """How many times too many pseudo objects come; 1 where they are not too many."""
        limit = self.brake * float(counts['expected'])
        return max(float(counts['pseudo']) / limit, 1.0) if limit > 0 else 1.0

    def missing_ratio(self) -> float:
        """Objects that nobody annotated to each annotated one, by detections as sure as those of the latter."""
        return self.counts.ratio('free_above', 'found_above')

    def expected(self, annotated: Annotated, completed: Tensor) -> float:
        """How many pseudo objects an image should get.

        In an image without objects, or with classes that are not annotated, as many of a class as images have in which
        it is annotated; in others as many to each annotated object as detections say that are missing.

        Args:
            annotated: the image's objects.
            completed: (K,) bool, classes that are completed.
        """
        if len(annotated.boxes) and completed.all():
            return self.missing_ratio() * len(annotated.boxes)
        counts = self.counts
        return float((counts['objects'] / counts['images'].clamp(min=1e-9))[completed].sum())
