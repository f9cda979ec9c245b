"""The averaged copy of a detector that completes the labels its images lack: ``model.teacher``."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.directives import (
    COMPLETE,
    IGNORE_NEGATIVES,
    NEGATIVES,
    PSEUDO_LABELS,
    restricts_classes,
    unlabelled_classes,
)
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import average_tensors
from mmdet.models.options.fold_norm import fold_norms
from mmdet.models.teacher.calibration import Calibration, Counts, Thresholds
from mmdet.models.teacher.completion import Added, complete_batch
from mmdet.models.teacher.detections import (
    Annotated,
    Detections,
    limit_proposals,
    match,
    read_result,
    without_duplicates,
)
from mmdet.models.teacher.diagnosis import Diagnosis
from mmdet.models.teacher.student_view import StudentView
from mmdet.utils.running.amp import enable_autocast

MODEL = 'model.'  # of the copy's keys in checkpoints, below ``teacher.``
STUDENT, TEACHER = 'student', 'teacher'
DTYPES = {'float32': None, 'bfloat16': torch.bfloat16}
UNANNOTATED = {NEGATIVES: 'none', IGNORE_NEGATIVES: 1}  # what an image without objects says until the teacher begins


class Teacher(nn.Module):
    """Detects on each training batch and puts what is sure, and on no annotated object, among the objects.

    Images ask for it with the directive ``pseudo_labels='complete'``. With ``labeled_classes`` only the other classes
    are completed. The copy takes part in nothing but its own calls: optimizer, hooks and wrappers of the detector do
    not see its parameters; its keys in checkpoints begin with ``teacher.model.``.

    Args:
        model: a detector like the student; kept as the average.
        num_classes: K.
        momentum: how much of the old average a step leaves, once it is warm.
        burn_in: when it begins: ``dict(recall=0.3, wait=20)`` (see :class:`Calibration`), or a number of steps.
        measure_every: before it begins, every which step the recall is measured.
        score_thr: from which score on a detection is an object; None: calibrated by class, see ``precision``.
        ignore_thr: fraction of ``score_thr`` from which on it is ignored; 1: nothing is.
        ignore_as: ``'objects'``, of weight 0, or ``'regions'``, in ``gt_bboxes_ignore``, for detectors whose heads let
            no single object weigh, and whose assigners have an ``ignore_iof_thr``.
        weight: of pseudo objects in the classification: a number, or ``'confidence'``.
        box_loss: their weight in the losses of boxes, masks and keypoints.
        overlap: IoU with an annotated object, or a better detection, from which on a detection is not taken.
        precision, ignore_precision: estimated fraction of objects among detections of a score, from which on they are
            objects, or ignored; see :class:`Calibration`.
        missing: fraction of the objects that nobody annotated; None: estimated.
        student_view: arguments of :class:`StudentView`; None: the student sees what the teacher sees.
        proposals: of an image, at which the second stage of the teacher looks in training, at most; None: as in tests.
        dtype: of the teacher's inference, ``'float32'`` or ``'bfloat16'``.
        evaluate: whom a test runs, ``'student'`` or ``'teacher'``.
        diagnose_with: COCO file with the complete labels, for the log alone; see :class:`Diagnosis`.

    Raises:
        ValueError: a value that an argument cannot have, or a panoptic detector.
    """

    directive_keys = (PSEUDO_LABELS,)  # that the report of directives lists as read

    completes_labels = True  # what tells it from a user's own ``teacher``

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        momentum: float = 0.999,
        burn_in: Mapping[str, Any] | int | None = None,
        measure_every: int = 5,
        score_thr: float | None = None,
        ignore_thr: float = 0.5,
        ignore_as: str = 'objects',
        weight: str | float = 1.0,
        box_loss: float = 0.0,
        overlap: float = 0.5,
        precision: float = 0.6,
        ignore_precision: float = 0.2,
        missing: float | None = None,
        student_view: Mapping[str, Any] | None = None,
        proposals: int | None = 256,
        dtype: str = 'float32',
        evaluate: str = STUDENT,
        diagnose_with: str | None = None,
    ) -> None:
        super().__init__()
        _refuse_stuff(model)
        _check('momentum', momentum, 0 <= momentum < 1, 'a number in [0, 1)')
        _check('ignore_as', ignore_as, ignore_as in ('objects', 'regions'), "'objects' or 'regions'")
        known = missing is None or (not isinstance(missing, str) and 0 <= missing < 1)
        _check('missing', missing, known, 'a number in [0, 1) or None')
        usable = weight == 'confidence' or (not isinstance(weight, str) and weight >= 0)
        _check('weight', weight, usable, "a number >= 0 or 'confidence'")
        _check('proposals', proposals, proposals is None or proposals > 0, 'a number above 0 or None')
        _check('dtype', dtype, dtype in DTYPES, ', '.join(DTYPES))
        _check('evaluate', evaluate, evaluate in (STUDENT, TEACHER), f'{STUDENT!r} or {TEACHER!r}')
        # in a list, so that no sweep over modules finds it
        self._hidden = [fold_norms(model.requires_grad_(False).eval())]
        self.momentum, self.measure_every = momentum, measure_every
        self.begin_at = burn_in if isinstance(burn_in, int) else None
        start = {} if isinstance(burn_in, int) or burn_in is None else dict(burn_in)
        self.calibration = Calibration(
            num_classes, score_thr, ignore_thr, precision, ignore_precision, missing=missing, **start
        )
        self.ignore_as, self.weight, self.box_loss, self.overlap = ignore_as, weight, box_loss, overlap
        self.student_view = None if student_view is None else StudentView(**student_view)
        self.proposals = proposals
        self.dtype, self.evaluate, self.diagnose_with = DTYPES[dtype], evaluate, diagnose_with
        self._diagnosis: Diagnosis | None = None
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        self._register_state_dict_hook(_add_copy)  # which mmcv's way to collect a state calls, too

    @property
    def model(self) -> nn.Module:
        """The average."""
        return self._hidden[0]

    @property
    def evaluates(self) -> bool:
        """Whether tests run the teacher; not before it has followed a student, with a warning."""
        if self.evaluate == TEACHER and not int(self.steps):
            warnings.warn(
                "evaluate='teacher', but neither a training nor the checkpoint has made one: the student is run",
                UserWarning,
                stacklevel=3,
            )
        return self.evaluate == TEACHER and bool(self.steps)

    # ---- one training step

    def complete(self, student: nn.Module, data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[list[str], Tensor]]:
        """Follow the student, and complete a batch on which it is about to be trained.

        Args:
            student: the detector.
            data: the batch, as ``train_step`` gets it.

        Returns:
            the batch for the student, and names and values for the log.
        """
        self.follow(student)
        metas, wanted = data['img_metas'], [meta.get(PSEUDO_LABELS) == COMPLETE for meta in data['img_metas']]
        counts = Counts(self.calibration.num_classes)
        begun, sums = self.has_begun, self.calibration.counts
        thresholds = self.calibration.thresholds(sums)
        added: list[Added | None] = [None] * len(metas)
        measuring = begun or int(self.steps) % self.measure_every == 0
        if measuring and any(wanted):
            if self._diagnosis is None and self.diagnose_with is not None:
                self._diagnosis = Diagnosis(self.diagnose_with, student.CLASSES or ())
            images = zip(self._detect(data), self._truth(data), metas, wanted)
            added = [self._image(counts, sums, thresholds, *image, begun) for image in images]
        if measuring:  # on all processes, whatever their images are
            self.calibration.update(counts, begun)
        out = dict(data)
        if not begun:
            boxes = data['gt_bboxes']
            metas = [
                {**UNANNOTATED, **meta} if want and not len(gts) and not restricts_classes(meta) else meta
                for meta, want, gts in zip(metas, wanted, boxes)
            ]
        elif any(wanted):
            out = complete_batch(out, added, self.weight, self.box_loss, self.ignore_as == 'regions')
            if self.student_view is not None:
                out['img'] = self.student_view(out['img'], metas, wanted)
        out['img_metas'] = metas
        return out, self._log(student, metas, added, thresholds)

    @property
    def has_begun(self) -> bool:
        """Whether it completes labels."""
        if self.begin_at is not None:
            return int(self.steps) > self.begin_at
        return bool(self.calibration.begun)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move the average towards the student; buffers too. The first time it becomes the student."""
        steps = int(self.steps)
        # a young average follows fast: at a momentum of 0.999 the first weights would count for thousands of steps
        keep = 0.0 if steps == 0 else min(self.momentum, (1 + steps) / (10 + steps))
        theirs = dict(student.named_parameters()) | dict(student.named_buffers())
        ours = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        averages = [ours[name] for name in floats]
        torch._foreach_lerp_(averages, [theirs[name].detach() for name in floats], 1 - keep)
        for name, value in ours.items():
            if not value.is_floating_point():
                value.copy_(theirs[name])
        # batch norm has seen other images on each process: the copies would come to complete one image differently
        average_tensors([buffer for buffer in self.model.buffers() if buffer.is_floating_point()])
        self.steps += 1

    @torch.no_grad()
    def _detect(self, data: Mapping[str, Any]) -> list[Detections]:
        if self.dtype is not None:
            enable_autocast(self.model, self.dtype)
        given = dict(proposals=[data['proposals']]) if data.get('proposals') is not None else {}
        metas = [dict(meta) for meta in data['img_metas']]
        with limit_proposals(self.model, self.proposals):
            results = self.model(img=[data['img']], img_metas=[metas], return_loss=False, rescale=False, **given)
        return [read_result(result) for result in results]

    def _truth(self, data: Mapping[str, Any]) -> list[Annotated]:
        """The annotated objects of each image, on the CPU."""
        boxes = [own[:, :4].detach().float().cpu() for own in data['gt_bboxes']]
        labels = data.get('gt_labels') or [torch.zeros(len(own), dtype=torch.long) for own in boxes]
        ignored = data.get('gt_bboxes_ignore') or [torch.zeros(0, 4)] * len(boxes)
        return [Annotated(own, of.cpu(), region.float().cpu()) for own, of, region in zip(boxes, labels, ignored)]

    def _image(
        self,
        counts: Counts,
        sums: Counts,
        thresholds: Thresholds,
        found: Detections,
        annotated: Annotated,
        meta: ImgMeta,
        wanted: bool,
        begun: bool,
    ) -> Added | None:
        """Measure one image; what it gets, if it wants something. ``sums`` are the statistics until now."""
        bare = torch.full((self.calibration.num_classes,), not len(annotated.boxes))
        completed = torch.full_like(bare, wanted)
        if unlabelled := unlabelled_classes(meta, len(bare)):
            bare = torch.zeros_like(bare).index_fill(0, torch.tensor(unlabelled), True)
            completed = completed & bare
        matched = match(found, annotated, self.overlap)
        free = found.take(matched.free)
        free = without_duplicates(free, bare[free.labels], self.overlap)
        self.calibration.measure(counts, free, annotated, matched.scores, bare, completed, thresholds)
        if not (wanted and begun):
            return None
        high, low = thresholds.of_image(bare)[:, free.labels]
        sure = free.scores >= high
        chosen = (sure, ~sure & (free.scores >= low))
        added = Added(*(free.take(part & completed[free.labels]) for part in chosen))
        counts.add('completed', 1)
        counts.add('pseudo', len(added.objects.boxes))
        counts.add('ignored', len(added.ignored.boxes))
        counts.add('confidence', added.objects.scores.sum())
        counts.add('expected', self.calibration.expected(sums, annotated, completed, bare))
        if self._diagnosis is not None:
            self._diagnosis.judge(counts, added.objects, annotated, completed, meta)
        return added

    def _log(
        self, student: nn.Module, metas: Sequence[ImgMeta], added: Sequence[Added | None], thresholds: Thresholds
    ) -> tuple[list[str], Tensor]:
        """Running means, and what each source of the log got in this step."""
        counts = self.calibration.counts
        values = {
            'recall': counts.ratio('recalled', 'annotated'),
            'begun': float(self.has_begun),
            'pseudo': counts.ratio('pseudo', 'completed'),
            'expected': counts.ratio('expected', 'completed'),
            'ignored': counts.ratio('ignored', 'completed'),
            'confidence': counts.ratio('confidence', 'pseudo'),
            'threshold': float(thresholds.annotated[0].mean()),
        }
        if self.diagnose_with is not None:
            values |= dict(right=counts.ratio('right', 'judged'), hit=counts.ratio('hit', 'missing'))
        for source in getattr(getattr(student, 'source_log', None), 'sources', ()):
            own = [got for got, meta in zip(added, metas) if got is not None and meta.get('source') == source]
            values[f'pseudo/{source}'] = float(sum(len(got.objects.boxes) for got in own))
            values[f'ignored/{source}'] = float(sum(len(got.ignored.boxes) for got in own))
        return [f'teacher_{name}' for name in values], torch.tensor(list(values.values()))

    # ---- the hidden copy in checkpoints and on devices

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> 'Teacher':
        self.model._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """As of any module; a checkpoint without a teacher leaves it as it is: it starts from the student then."""
        if not any(key.startswith(prefix) for key in state_dict):
            return
        start = prefix + MODEL
        copied = {key[len(start) :]: value for key, value in state_dict.items() if key.startswith(start)}
        rest = {key: value for key, value in state_dict.items() if not key.startswith(start)}
        super()._load_from_state_dict(rest, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        try:
            found = self.model.load_state_dict(copied, strict=False)
        except RuntimeError as err:  # shapes
            error_msgs.append(str(err))
            return
        missing_keys.extend(start + key for key in found.missing_keys)
        unexpected_keys.extend(start + key for key in found.unexpected_keys)


def _add_copy(teacher: Teacher, state_dict: dict[str, Any], prefix: str, local_metadata: dict) -> None:
    """Put the average into a state, below ``model.``."""
    for name, value in teacher.model.state_dict().items():
        state_dict[f'{prefix}{MODEL}{name}'] = value


def _refuse_stuff(model: nn.Module) -> None:
    """Refuse detectors that label every pixel.

    Raises:
        ValueError: it is one.
    """
    if getattr(getattr(model, 'panoptic_fusion_head', None), 'num_stuff_classes', 0):
        raise ValueError(
            f'teacher: {type(model).__name__} learns a class for every pixel, and the maps of its images say that '
            'nothing is where a pseudo object would be; the teacher completes boxes and masks of objects alone '
            '(num_stuff_classes=0)'
        )


def _check(name: str, value: Any, usable: bool, accepted: str) -> None:
    if not usable:
        raise ValueError(f'teacher.{name}: expected {accepted}, got {value!r}')


def num_classes_of(detector: Any) -> int:
    """K of a detector, as its detections have it; 1 where it tells no classes apart."""
    roi_head = getattr(detector, 'roi_head', None)
    slots = [detector, getattr(roi_head, 'bbox_head', None)]
    slots += [getattr(detector, name, None) for name in ('bbox_head', 'mask_head', 'panoptic_head')]
    for slot in slots:
        head = slot[-1] if isinstance(slot, nn.ModuleList) else slot
        if isinstance(getattr(head, 'num_classes', None), int):
            return head.num_classes
    return 1
