"""Running statistics of a teacher: what its scores mean, and whether it is good enough."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmdet.models.teacher.detections import Annotated, Detections
from mmdet.utils.running.group_failure import is_grouped

PER_CLASS_AND_SCORE = ('found', 'found_whole', 'free', 'free_whole', 'bare')
PER_CLASS = ('objects', 'images', 'bare_images')
NUM_BINS = 20  # of scores in [0, 1]
LEAST_PART = 0.1  # of the found objects, by which the missing ones are estimated
SCALARS = (
    'recalled', 'annotated', 'pseudo', 'expected', 'ignored', 'confidence', 'completed',
    'right', 'judged', 'missing', 'hit',
)  # fmt: skip
FEWEST = 20.0  # found objects from which on a class has thresholds of its own


class Counts:
    """What one step adds to the statistics; a float64 vector by names, on the CPU.

    ================== ================================================================================================
    ``found``          of each class and bin of scores: annotated objects in images in which their class is completed,
                       by the score with which they were found
    ``found_whole``    the same in images that have all objects of the class
    ``free``           detections that are no annotated object, in images of ``found`` in which their class is annotated
    ``free_whole``     the same in images of ``found_whole``: mistakes
    ``bare``           detections of a class that is completed, in images without annotations of it
    ``objects``        of each class: annotated objects
    ``images``         of each class: images in which it is annotated, and that have annotated objects
    ``bare_images``    of each class: images of ``bare``
    ``recalled``       annotated objects that were found with a score above the threshold, of ``annotated``
    ``pseudo``         pseudo objects, of summed ``confidence``, where there should be ``expected``
    ``ignored``        ignored regions, in ``completed`` images
    ``right``, ``hit`` of ``judged`` pseudo objects those that hidden labels have; of ``missing`` hidden objects those
                       that were found
    ================== ================================================================================================
    """

    def __init__(self, num_classes: int, values: Tensor | None = None) -> None:
        shapes = dict.fromkeys(PER_CLASS_AND_SCORE, (num_classes, NUM_BINS))
        shapes |= dict.fromkeys(PER_CLASS, (num_classes,)) | dict.fromkeys(SCALARS, ())
        sizes = [torch.Size(shape).numel() for shape in shapes.values()]
        self.values = torch.zeros(sum(sizes), dtype=torch.float64) if values is None else values
        self._parts = dict(zip(shapes, (p.view(s) for p, s in zip(self.values.split(sizes), shapes.values()))))

    def __getitem__(self, name: str) -> Tensor:
        """(K, bins), (K,) or () view of a part of the vector."""
        return self._parts[name]

    def add(self, name: str, value: Tensor | float) -> None:
        """Add to a part."""
        self[name].add_(value)

    def add_scores(self, name: str, scores: Tensor, labels: Tensor) -> None:
        """Count scores (n,) in [0, 1] by their labels (n,) and bins."""
        bins = (scores * NUM_BINS).long().clamp(0, NUM_BINS - 1)
        self[name].index_put_((labels, bins), torch.ones(len(bins), dtype=torch.float64), accumulate=True)

    def ratio(self, above: str, below: str) -> float:
        """One scalar by another; 0 where there is none of the latter."""
        whole = float(self[below])
        return float(self[above]) / whole if whole > 0 else 0.0


class Thresholds:
    """From which scores on a detection is an object, and from which on it is ignored, for one step.

    Args:
        annotated: (2, K) for images in which the class is annotated: scores of objects, of ignored ones.
        bare: (2, K) for images in which it is not.
    """

    def __init__(self, annotated: Tensor, bare: Tensor) -> None:
        self.annotated = annotated
        self.bare = bare

    def of_image(self, bare: Tensor) -> Tensor:
        """(2, K) of an image, where ``bare`` (K,) bool tells the classes without annotations."""
        return torch.where(bare, self.bare, self.annotated)

    def of_recall(self, completed: Tensor) -> Tensor:
        """(K,) scores from which on an annotated object counts as recalled, ``completed`` (K,) bool as in its image.

        Where all objects of a class are annotated nothing can be missing among them, so that no threshold follows from
        them: what is completed are other images, with and without annotations of the class.
        """
        return torch.where(completed, self.annotated[0], torch.minimum(self.annotated[0], self.bare[0]))


class Calibration(nn.Module):
    """Thresholds by the precision that detections are estimated to have, and the start by the recall above these.

    Annotated objects are a sample of all objects: the scores that the teacher gives to them are those that it gives to
    the objects that nobody annotated. So it is known how many objects of a score there should be for each annotated
    one, or in each image; what comes beyond are mistakes. Where the teacher begins to believe its own mistakes, more
    come, and thresholds rise. All numbers are decayed sums over the measured steps, equal on all processes.

    Args:
        num_classes: K.
        score_thr: from which score on a detection is an object; None: by ``precision``.
        ignore_thr: fraction of ``score_thr`` from which on it is ignored.
        precision: estimated fraction of objects among the detections of a score, from which on these are objects.
        ignore_precision: the same from which on it is ignored.
        recall: fraction of the annotated objects that must be found with a score above the threshold when the teacher
            begins.
        wait: measured steps before that, at least.
        missing: fraction of the objects that nobody annotated, in images that ask for completion and have annotations;
            None: estimated until the teacher begins, see :func:`estimated_missing`.
        decay: of the sums, a measured step.
    """

    def __init__(
        self,
        num_classes: int,
        score_thr: float | None = None,
        ignore_thr: float = 0.5,
        precision: float = 0.6,
        ignore_precision: float = 0.2,
        recall: float = 0.3,
        wait: int = 20,
        missing: float | None = None,
        decay: float = 0.98,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.score_thr = score_thr
        self.ignore_thr = ignore_thr
        self.precision = precision
        self.ignore_precision = ignore_precision
        self.recall = recall
        self.wait = wait
        self.missing = missing
        self.decay = decay
        self.register_buffer('sums', Counts(num_classes).values)
        self.register_buffer('measured', torch.zeros((), dtype=torch.long))
        self.register_buffer(
            'missing_ratio', torch.tensor(0.0 if missing is None else missing / (1 - missing), dtype=torch.float64)
        )
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
        free: Detections,
        annotated: Annotated,
        scores: Tensor,
        bare: Tensor,
        completed: Tensor,
        thresholds: Thresholds,
    ) -> None:
        """Add one image to the counts.

        Args:
            counts: of the step.
            free: detections of the image that are on no annotated object.
            annotated: its objects.
            scores: (G,) with which these were found, 0: not at all.
            bare: (K,) bool, classes of which it has no annotations.
            completed: (K,) bool, classes that it wants to be completed.
            thresholds: of the step.
        """
        kinds = {'free': completed & ~bare, 'free_whole': ~completed & ~bare, 'bare': completed & bare}
        for name, classes in kinds.items():
            part = classes[free.labels]
            counts.add_scores(name, free.scores[part], free.labels[part])
        counts.add('bare_images', (completed & bare).double())
        if not len(annotated.boxes):
            return
        hit, labels = scores > 0, annotated.labels
        for name, part in (('found', hit & completed[labels]), ('found_whole', hit & ~completed[labels])):
            counts.add_scores(name, scores[part], labels[part])
        counts['objects'].index_add_(0, labels, torch.ones(len(labels), dtype=torch.float64))
        counts.add('images', (~bare).double())
        counts.add('recalled', (hit & (scores >= thresholds.of_recall(completed)[labels])).sum())
        counts.add('annotated', len(scores))

    def update(self, counts: Counts, begun: bool) -> None:
        """Add the counts of a step of all processes; begin where the teacher has become good enough.

        How many objects are missing is no longer asked once it has begun: it does not change, and detections that the
        student was taught would be counted as objects.
        """
        total = counts.values.to(self.sums)
        if is_grouped():
            dist.all_reduce(total)
        self.sums.mul_(self.decay).add_(total)
        self.measured += 1
        sums = self.counts
        if self.missing is None and not (begun and float(self.missing_ratio)):
            self.missing_ratio.fill_(estimated_missing(sums['found'].sum(0), sums['free'].sum(0)))
        if sums.ratio('recalled', 'annotated') >= self.recall and int(self.measured) >= self.wait:
            self.begun.fill_(True)

    def thresholds(self, counts: Counts) -> Thresholds:
        """Scores by class, from the decayed sums."""
        if self.score_thr is not None:
            both = torch.tensor([[self.score_thr], [self.score_thr * self.ignore_thr]]).repeat(1, self.num_classes)
            return Thresholds(both, both)
        missing = float(self.missing_ratio)
        annotated = self._lowest(missing * counts['found'], counts['free'])
        # of each class and score: objects in an image in which it is annotated, then in all those in which it is not
        whole = counts['found_whole'] + (1 + missing) * counts['found']
        hits = whole * (counts['bare_images'] / counts['images'].clamp(min=1e-9))[:, None]
        return Thresholds(annotated, self._lowest(torch.minimum(hits, self._judged(counts)), counts['bare']))

    def _judged(self, counts: Counts) -> Tensor:
        """(K, bins) of ``bare`` those that are objects, if detections are right as often as where all are annotated.

        No bound where nothing was detected in such images.
        """
        found, wrong = (neighbours(counts[name]) for name in ('found_whole', 'free_whole'))
        right = torch.where(found + wrong > 0, found / (found + wrong), 1.0)
        return right * counts['bare']

    def _lowest(self, hits: Tensor, detections: Tensor) -> Tensor:
        """(2, K) scores from which on detections are objects, and ignored.

        Args:
            hits: (K, bins) objects that should be among the detections.
            detections: (K, bins).
        """
        unsure = hits.sum(1) < FEWEST  # these classes take the numbers of all together
        pooled = [torch.where(unsure[:, None], part.sum(0), part) for part in (hits, detections)]
        limits = (self.precision, self.ignore_precision)
        return torch.stack([lowest_score(*pooled, limit) for limit in limits]).float()

    def expected(self, counts: Counts, annotated: Annotated, completed: Tensor, bare: Tensor) -> float:
        """How many pseudo objects an image should get.

        Args:
            counts: decayed sums.
            annotated: the image's objects.
            completed: (K,) bool, classes that are completed.
            bare: (K,) bool, those without annotations: they should have as many objects as in other images.
        """
        by_image = counts['objects'] / counts['images'].clamp(min=1e-9)
        missing = float(self.missing_ratio) * completed[annotated.labels].sum()
        return float(missing) + float(by_image[completed & bare].sum())


def estimated_missing(found: Tensor, free: Tensor) -> float:
    """How many objects that nobody annotated there are to each annotated one; 0 where not enough were found to tell.

    Above a score there are m annotated objects among the detections, and f that are free: missing objects, as many to
    each annotated one as everywhere, and mistakes, which become rarer as the score rises. So the least f / m over all
    scores, above which enough annotated objects are, is the estimate.

    Args:
        found, free: (bins,) numbers of both by score.
    """
    found, free = (part.flip(0).cumsum(0) for part in (found, free))
    if found[-1] < FEWEST:
        return 0.0
    enough = found >= LEAST_PART * found[-1]
    return float((free[enough] / found[enough]).amin())


def lowest_score(hits: Tensor, detections: Tensor, precision: float) -> Tensor:
    """(K,) lowest scores down to which at least ``precision`` of the detections of each score are objects.

    A bin is judged with both its neighbours; one with fewer than three detections in them is passed over. 1 where even
    the best are not, or nothing was found.

    Args:
        hits, detections: (K, bins) by class and score.
    """
    hits, detections = (neighbours(part) for part in (hits, detections))
    bad = (hits < precision * detections) & (detections >= 3)
    highest_bad = torch.where(bad, torch.arange(1, NUM_BINS + 1), 0).amax(1)
    lowest = highest_bad.clamp(min=1) / NUM_BINS
    return torch.where(hits.sum(1) > 0, lowest, 1.0)


def neighbours(numbers: Tensor) -> Tensor:
    """(K, bins) sums of each bin and the ones beside it."""
    padded = nn.functional.pad(numbers, (1, 1))
    return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
