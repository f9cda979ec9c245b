"""The training images of a config with their annotated objects, by source, and detections on them."""

import copy
import os.path as osp
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmcv import Config

from mmdet.apis.launch import UserError
from mmdet.apis.loaders import train_pipeline
from mmdet.apis.report.samples import boxes_by_class
from mmdet.apis.stage_configs import leaf_datasets
from mmdet.datasets.audit.annotation_rules import is_ignored
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.mixing.sources import source_names


class LabelledImage(NamedTuple):
    """An image and what is annotated on it."""

    source: str  # name of its data set
    image_id: int  # in the annotation file
    path: str
    boxes: np.ndarray  # (G, 4) float32 xyxy px
    labels: np.ndarray  # (G,) int64
    ann_ids: np.ndarray  # (G,) ids of the annotations
    ignored: np.ndarray  # (k, 4) crowds and the like: what is there is neither right nor wrong


class Detections(NamedTuple):
    """What a detector found on an image."""

    boxes: np.ndarray  # (D, 4) float32 xyxy px
    labels: np.ndarray  # (D,) int64
    scores: np.ndarray  # (D,) float32 in [0, 1]


class Source(NamedTuple):
    """A data set of the training set."""

    name: str
    dataset: CocoDataset  # in test mode: every image, those without objects too
    images: list[LabelledImage]

    @property
    def ann_file(self) -> Path:
        """Where its annotations are."""
        return Path(str(self.dataset.ann_file))


def sources_of(cfg: Config) -> list[Source]:
    """The data sets that ``cfg.data.train`` joins, each once, with the pipeline of ``cfg.data.test``.

    Raises:
        UserError: there are no images, a data set is not in COCO's format, or two have different classes.
    """
    if not cfg.get('data') or not cfg.data.get('train') or not cfg.data.get('test'):
        raise UserError(
            'label errors need data.train, whose images are looked at, and data.test, whose pipeline does so'
        )
    pipeline = train_pipeline(cfg.data.test)
    datasets: list[CocoDataset] = []
    for leaf in leaf_datasets(cfg.data.train):
        kept = {key: copy.deepcopy(value) for key, value in leaf.items() if key != 'pipeline'}
        built = build_dataset({**kept, 'pipeline': copy.deepcopy(pipeline), 'test_mode': True})
        datasets += getattr(built, 'datasets', [built])  # several annotation files are several data sets
    for dataset in datasets:
        if not isinstance(dataset, CocoDataset):
            raise UserError(
                f'data.train has a {type(dataset).__name__}; label errors are looked for in annotation files of COCO '
                '(CocoDataset); tools/dataset_converters write them from other formats'
            )
        if tuple(dataset.CLASSES) != tuple(datasets[0].CLASSES):  # one may be a list, as the config has it
            raise UserError(
                f'the data sets of data.train have different classes: {datasets[0].CLASSES} and {dataset.CLASSES}'
            )
    found = [Source(name, part, images_of(name, part)) for name, part in zip(source_names(datasets), datasets)]
    if not any(source.images for source in found):
        raise UserError('data.train has no images')
    return found


def images_of(name: str, dataset: CocoDataset) -> list[LabelledImage]:
    """The images of a data set, called ``name``, with their objects."""
    images = []
    for index, info in enumerate(dataset.data_infos):
        found = dataset.get_ann_info(index)
        rows = dataset._usable_annotations(info, dataset._annotations_of(index))
        ids = [row['id'] for row in rows if not is_ignored(row)]
        path = osp.join(dataset.img_prefix or '', info['filename'])
        parts = (found['bboxes'], found['labels'], np.asarray(ids, np.int64), found['bboxes_ignore'])
        images.append(LabelledImage(name, info['id'], path, *parts))
    return images


def detections_of(result: Any) -> Detections:
    """What a result of a detector for one image says, best first.

    Args:
        result: boxes (n, 5) of each class, a pair of these and masks, or a dict of panoptic segmentation with them.

    Raises:
        UserError: proposals without classes.
        ResultsError: it is no result.
    """
    if isinstance(result, np.ndarray):
        raise UserError('the results are proposals without classes; label errors need the results of a whole detector')
    per_class = boxes_by_class(result)
    rows = np.concatenate(per_class)
    order = np.argsort(-rows[:, 4], kind='stable')
    labels = np.repeat(np.arange(len(per_class)), [len(own) for own in per_class])
    return Detections(rows[order, :4], labels[order], rows[order, 4])


def check_classes(found: Sequence[Any], num_classes: int, where: str) -> None:
    """Raise a UserError where results are for another number of classes than the data has."""
    first = next((r for r in found if isinstance(r, (list, tuple))), [])
    first = first[0] if isinstance(first, tuple) else first
    if len(first) and len(first) != num_classes:
        raise UserError(f'{where}: results of {len(first)} classes, but the data sets of data.train have {num_classes}')
