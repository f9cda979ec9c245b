"""A look at all the data before the first step of training or testing, so that mistakes show at once and together.

:func:`audit_dataset` prints one table, with a row for each data set, and stops with the list of all that is wrong.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from mmcv.runner import get_dist_info
from mmcv.utils import print_log
from terminaltables import AsciiTable

from mmdet.datasets.audit import checks
from mmdet.datasets.audit.checks import BoxTable
from mmdet.datasets.audit.coco_facts import FileFacts, check_weights, weight_key_of
from mmdet.datasets.audit.directives import describe_directives
from mmdet.datasets.audit.files import check_image_files
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.detection_dataset import DetectionDataset

# The table names all classes up to this number, else the most and the least frequent ones.
MAX_CLASSES_SHOWN = 8
# Side, px, of the image that boxes are looked at in which are fractions of their image's size.
NOMINAL_SIDE = 1024


class AuditError(ValueError):
    """The data cannot be trained on or tested; the message lists everything that was found.

    Attributes:
        problems: one text each.
    """

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        lines = '\n'.join(f'  {i}. {problem}' for i, problem in enumerate(problems, 1))
        super().__init__(f'The audit of the data found {len(problems)} problem(s):\n{lines}')


class PartReport(NamedTuple):
    """One data set of those that a wrapper holds."""

    name: str
    images: int
    images_in_file: int
    per_epoch: int  # images of it in one epoch, after repeating
    per_class: dict[str, int]  # usable boxes
    directives: str
    problems: list[str]  # these stop
    notes: list[str]  # these are only said

    @property
    def boxes(self) -> int:
        """Usable boxes of all classes."""
        return sum(self.per_class.values())


class AuditReport(NamedTuple):
    """What an audit found."""

    parts: list[PartReport]
    problems: list[str]
    notes: list[str]

    def table(self) -> str:
        """One row for each data set."""
        rows = [['data set', 'images', 'an epoch', 'boxes', 'boxes of each class', 'directives']]
        for part in self.parts:
            images = str(part.images)
            if part.images != part.images_in_file:
                images += f' of {part.images_in_file}'
            counts = (str(part.per_epoch), str(part.boxes), short_counts(part.per_class))
            rows.append([part.name, images, *counts, part.directives])
        return AsciiTable(rows).table


def audit_dataset(
    dataset: DetectionDataset,
    *,
    num_classes: int | Mapping[str, int] | None = None,
    directive_keys: Collection[str] | None = None,
    strict: bool = False,
    sample_files: int | None = None,
    logger=None,
) -> AuditReport:
    """Check a data set, with all that its wrappers hold, and print a table of it.

    It stops on classes that the annotation file does not have, joined data sets with different classes, no image left
    after filtering, no box to train on, a head with another number of classes, ids that are there twice, labels of no
    class, directives with impossible values or that no head or sampler reads, masks that cannot be used, and files that
    are missing, cannot be read or have another size than stated. Boxes without area or outside their image, which
    training leaves out, boxes that lie partly outside it, and image files with several entries are only counted.

    Args:
        dataset: what is trained on or tested.
        num_classes: of the model's head, or of each of several heads by name; None: not checked.
        directive_keys: keys of the directives that the model's heads and samplers read; None: not checked.
        strict: also stop on what is only counted.
        sample_files: how many images of each data set are read; None: 32, and of image files on this machine's disks
            the headers of all.
        logger: where table and notes go: a logger, None (print) or ``'silent'``; first process only.

    Returns:
        What was found.

    Raises:
        AuditError: something is wrong; the message lists all of it.
    """
    leaves, per_epoch = flatten(dataset)
    names = unique_names(leaves)
    parts = [
        audit_part(leaf, name, int(count), num_classes, sample_files, directive_keys)
        for leaf, name, count in zip(leaves, names, per_epoch)
    ]
    problems = [f'{part.name}: {problem}' for part in parts for problem in part.problems]
    problems += checks.check_same_classes({name: getattr(leaf, 'CLASSES', None) for leaf, name in zip(leaves, names)})
    training = all(isinstance(leaf, CustomDataset) and not leaf.test_mode for leaf in leaves)
    # images without boxes that carry directives are there on purpose
    if training and not problems and any(part.directives == '-' for part in parts):
        problems = checks.check_boxes_left(sum(part.boxes for part in parts), len(dataset))
    notes = [f'{part.name}: {note}' for part in parts for note in part.notes]
    if strict:
        problems += notes
    report = AuditReport(parts, problems, notes)
    if get_dist_info()[0] == 0:
        print_log('\n' + report.table(), logger=logger)
        for note in () if strict else notes:
            print_log(note, logger=logger)
    if problems:
        raise AuditError(problems)
    return report


def flatten(dataset: DetectionDataset) -> tuple[list[DetectionDataset], np.ndarray]:
    """The innermost data sets, and how many images of each (k,) come in an epoch."""
    leaves: list[DetectionDataset] = []
    owners = _owners(dataset, leaves)
    return leaves, np.bincount(owners, minlength=len(leaves))


def _owners(dataset: DetectionDataset, leaves: list[DetectionDataset]) -> np.ndarray:
    """For each image of ``dataset`` (n,) the number of its innermost data set, which are added to ``leaves``."""
    if hasattr(dataset, 'datasets'):  # joined
        return np.concatenate([_owners(part, leaves) for part in dataset.datasets])
    if hasattr(dataset, 'dataset'):  # a wrapper of one
        inner = _owners(dataset.dataset, leaves)
        chosen = getattr(dataset, 'repeat_indices', None)
        return np.resize(inner, len(dataset)) if chosen is None else inner[np.asarray(chosen, dtype=np.int64)]
    leaves.append(dataset)
    return np.full(len(dataset), len(leaves) - 1, dtype=np.int64)


def unique_names(leaves: Sequence[DetectionDataset]) -> list[str]:
    """A name for each data set: its ``name``, its annotation file or its class; a number tells equal ones apart."""
    names = [
        getattr(leaf, 'name', None) or str(getattr(leaf, 'ann_file', None) or type(leaf).__name__) for leaf in leaves
    ]
    return [f'{name} ({i})' if names.count(name) > 1 else name for i, name in enumerate(names)]


def audit_part(
    dataset: DetectionDataset,
    name: str,
    per_epoch: int,
    num_classes: int | Mapping[str, int] | None,
    sample_files: int | None,
    directive_keys: Collection[str] | None = None,
) -> PartReport:
    """Check one data set that wraps no other."""
    classes = getattr(dataset, 'CLASSES', None)
    problems = checks.check_num_classes(num_classes, classes, getattr(dataset, 'num_classes_of', None))
    directives, fault = describe_directives(dataset, directive_keys)
    problems += fault
    if not isinstance(dataset, CustomDataset):  # a data set of the user's own kind: what is in it, is not known
        return PartReport(name, len(dataset), len(dataset), per_epoch, {}, directives, problems, [])
    problems += checks.check_images_left(len(dataset), dataset.num_unfiltered, dataset.filtered)
    if isinstance(dataset, CocoDataset):
        facts = dataset.file_facts()
        expected = [name for name in classes or () if name not in dataset.missing_classes]
        problems += checks.check_class_names(expected, facts.categories)
    else:
        facts = custom_facts(dataset)
    problems += facts.problems
    per_class = dict(zip(classes or map(str, range(len(facts.counts))), facts.counts.tolist()))
    problems += check_image_files(dataset, sample_files)
    return PartReport(
        name, len(dataset), dataset.num_unfiltered, per_epoch, per_class, directives, problems, facts.notes
    )


def custom_facts(dataset: CustomDataset) -> FileFacts:
    """What there is to say about the annotations of a data set in mmdetection's own format."""
    classes, boxes = dataset.CLASSES, custom_boxes(dataset)
    counts = checks.usable_per_class(boxes, len(classes) if classes else int(boxes.labels.max(initial=-1)) + 1)
    problems = checks.check_labels(boxes, None if classes is None else len(classes))
    problems += custom_weights(dataset, boxes)
    notes = checks.describe_unusable_boxes(boxes, dataset.test_mode) + checks.describe_overhanging_boxes(boxes)
    return FileFacts([], counts, problems, notes)


def custom_weights(dataset: CustomDataset, boxes: BoxTable) -> list[str]:
    """What is wrong with the objects' loss weights, where the pipeline reads some; files are named."""
    key = weight_key_of(dataset)
    anns = [] if key is None else [dataset.get_ann_info(i) for i in range(len(dataset))]
    values = [value for ann in anns if key in ann for value in np.asarray(ann[key]).reshape(-1).tolist()]
    if len(values) != len(boxes.ids):
        return [] if not values else [f'{len(values)} {key} of {len(boxes.ids)} boxes; there must be one for each']
    return check_weights([{'id': f'of {file}', key: value} for file, value in zip(boxes.ids, values)], key or '')


def custom_boxes(dataset: CustomDataset) -> BoxTable:
    """All boxes of the images that a data set uses; their ids are file names."""
    anns = [dataset.get_ann_info(i) for i in range(len(dataset))]
    boxes = [np.asarray(ann['bboxes'], dtype=np.float64).reshape(-1, 4) for ann in anns]
    if dataset.BOXES_ARE_FRACTIONS:
        boxes, sizes = [own * NOMINAL_SIDE for own in boxes], [(NOMINAL_SIDE, NOMINAL_SIDE)] * len(anns)
    else:
        sizes = [(info['width'], info['height']) for info in dataset.data_infos]
    xyxy = np.concatenate([np.zeros((0, 4)), *boxes])
    image = np.repeat(np.arange(len(anns)), [len(own) for own in boxes])
    wh = xyxy[:, 2:] - xyxy[:, :2]
    files = np.asarray([info['filename'] for info in dataset.data_infos], dtype=object)
    labels = np.concatenate([np.zeros(0), *(np.asarray(ann['labels']).reshape(-1) for ann in anns)])
    return BoxTable(
        ids=files[image],
        xywh=np.concatenate([xyxy[:, :2], wh], 1),
        areas=wh.prod(1),
        labels=labels.astype(np.int64),
        image=image,
        counts=np.ones(len(xyxy), dtype=bool),
        kept=np.ones(len(xyxy), dtype=bool),
        sizes_wh=np.asarray(sizes, dtype=float).reshape(-1, 2),
    )


def short_counts(per_class: Mapping[str, int]) -> str:
    """``'car 12, bus 3'``, most frequent first; of many classes the ends only, and how many have none."""
    ranked = sorted(per_class.items(), key=lambda item: -item[1])
    if len(ranked) <= MAX_CLASSES_SHOWN:
        return ', '.join(f'{name} {count}' for name, count in ranked)
    empty = sum(count == 0 for _, count in ranked)
    head = ', '.join(f'{name} {count}' for name, count in ranked[:4])
    tail = ', '.join(f'{name} {count}' for name, count in ranked[-2:])
    return f'{head}, ... {tail} ({len(ranked)} classes, {empty} of them without boxes)'
