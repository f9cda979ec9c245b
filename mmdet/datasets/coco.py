"""Data sets in COCO's format, and COCO's metrics."""

import os.path as osp
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from mmdet.core.evaluation import class_lists
from mmdet.core.visualization.dataset_colours import COCO_PALETTE
from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.audit.annotation_rules import fill_annotations, repeated_ids
from mmdet.datasets.audit.coco_facts import FileFacts, find_facts
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.formats.coco_entries import (
    images_to_train_on,
    labels_of_categories,
    parsed_annotations,
    usable_annotations,
    with_filename,
)
from mmdet.datasets.memory.shared_list import SharedList
from mmdet.datasets.metrics import coco_metrics
from mmdet.datasets.metrics.coco_results import (
    boxes_to_xywh,
    detections_to_json,
    kind_of_results,
    proposals_to_json,
    segmentations_to_json,
    without_keypoints,
    write_result_files,
)
from mmdet.datasets.metrics.proposal_recall import average_recalls, recall_figures
from mmdet.datasets.mixing.label_spaces import rename_categories
from mmdet.datasets.mixing.partial_labels import labelled_only
from mmdet.datasets.registry import DATASETS

WrittenResults = tuple[dict[str, str], tempfile.TemporaryDirectory | None]  # kind of result -> file; their folder


@DATASETS.register_module()
class CocoDataset(CustomDataset):
    """Images and objects of an annotation file in COCO's format; label i is ``CLASSES[i]``.

    The arguments are those of :class:`CustomDataset`. ``classes`` may be some of the file's categories, in any order:
    annotations of others are left out.

    Attributes:
        coco: the annotation file.
        cat_ids: category ids of the classes that the file has, in the order of ``CLASSES``.
        cat2label: category id -> label.
        img_ids: image ids, in the order of ``data_infos``.

    Raises:
        ValueError: ids of images or annotations are there twice, or an image entry is incomplete.
    """

    CLASSES = class_lists.COCO
    PALETTE = COCO_PALETTE
    cat2label: Mapping[int, int] = MappingProxyType({})  # where load_annotations of a subclass sets none
    _coco: COCO | None = None
    _shared_anns: SharedList | None = None  # of each image
    _facts: FileFacts | None = None  # of annotations that are shared

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the annotation file: the image entries, with ``filename``."""
        self.coco = self._read_coco(ann_file)
        self._set_categories()
        self.img_ids = self.coco.get_img_ids()
        return [self._image_entry(img_id) for img_id in self.img_ids]

    def _read_coco(self, ann_file: str) -> COCO:
        coco = self._open_coco(ann_file)
        if self.source_classes is not None or self.rename:
            rename_categories(coco, self.rename, self.source_classes, self.ann_file)
        return coco

    def _open_coco(self, ann_file: str) -> COCO:
        """The file with the categories that it has itself."""
        coco = COCO(ann_file)
        if twice := self.repeated_ids(coco):
            raise ValueError(f'{self.ann_file}: {"; ".join(twice)}. Number them anew, each once.')
        fill_annotations(coco.dataset.get('annotations', ()), self.ann_file)
        return coco

    @staticmethod
    def repeated_ids(coco: COCO) -> list[str]:
        """What a file gives more than once: a text for each kind."""
        return repeated_ids(coco.dataset)

    @staticmethod
    def annotations_of_file(coco: COCO) -> list[dict]:
        """All annotations of a file, each with its ``image_id``."""
        return coco.dataset.get('annotations', [])

    @property
    def coco(self) -> COCO:
        """The annotation file; where annotations are shared it is read again for whoever asks, such as metrics."""
        if self._coco is None:
            self._coco = self._load_file(self.ann_file, 'ann_file', self._read_coco)
        return self._coco

    @coco.setter
    def coco(self, coco: COCO) -> None:
        self._coco = coco

    def _share_annotations(self) -> None:
        """Move entries and annotations into shared memory; the file's objects are let go."""
        super()._share_annotations()
        readers = ('get_ann_info', 'get_cat_ids', 'load_annotations')
        if all(getattr(type(self), name) is getattr(CocoDataset, name) for name in readers):
            found = self.coco.img_ann_map
            self._facts = find_facts(self)
            self._shared_anns = SharedList(found.get(info['id'], []) for info in self.data_infos)
            self._coco = None

    def file_facts(self) -> FileFacts:
        """What the audit says about the annotation file; it is not read again where annotations are shared."""
        return find_facts(self) if self._facts is None else self._facts

    def _annotations_of(self, idx: int) -> list[dict]:
        """All annotations of an image, as the file has them."""
        if self._shared_anns is not None:
            return self._shared_anns[idx]
        return self.coco.img_ann_map.get(self.data_infos[idx]['id'], [])

    def _set_categories(self) -> None:
        """Fix the label of every category: its place in ``CLASSES``."""
        categories = self.coco.dataset.get('categories', [])
        self.cat2label = labels_of_categories(categories, self.CLASSES, self.ann_file)
        self.cat_ids = list(self.cat2label)

    def _adopt_classes(self) -> None:
        pass  # the names were changed when the file was read

    def annotated_classes(self) -> list[str]:
        """The classes that are categories of the file."""
        return [self.CLASSES[label] for label in sorted(self.cat2label.values())]

    def _image_entry(self, img_id: int) -> dict:
        return with_filename(self.coco.imgs[img_id], self.ann_file)

    def _category_labels(self) -> dict[int, int]:
        return self.cat2label

    def get_ann_info(self, idx: int) -> dict:
        """Annotations of an image; see :meth:`_parse_ann_info`."""
        return self._parse_ann_info(self.data_infos[idx], self._annotations_of(idx))

    def _train_ann_info(self, idx: int) -> dict:
        return self.get_ann_info(idx)  # has usable boxes only

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category id of every annotation of an image, also of those that are not trained on."""
        return [ann['category_id'] for ann in self._annotations_of(idx)]

    def _labels_in_image(self, idx: int) -> set[int]:
        return {self.cat2label[cat] for cat in self.get_cat_ids(idx) if cat in self.cat2label}

    def _filter_imgs(self, min_size: int = 32) -> list[int]:
        """Numbers of the images to train on.

        They have at least ``min_size`` px on the shorter side and, with ``filter_empty_gt``, an annotation of one of
        the classes. ``img_ids`` is cut down to them as well.
        """
        occupied = self._images_with_objects() if self.filter_empty_gt else self.img_ids
        kept = images_to_train_on(self.data_infos, self.img_ids, set(occupied), min_size, self.filtered)
        self.img_ids = [self.img_ids[i] for i in kept]
        return kept

    def _images_with_objects(self) -> set[int]:
        """Ids of the images that have an annotation of one of the classes."""
        return {img_id for cat_id in self.cat_ids for img_id in self.coco.cat_img_map.get(cat_id, ())}

    def _usable_annotations(self, img_info: dict, ann_info: Sequence[dict]) -> list[dict]:
        """The annotations of an image that count: of the classes, with a usable box."""
        return usable_annotations(ann_info, self.cat2label, (img_info['width'], img_info['height']))

    def _parse_ann_info(self, img_info: dict, ann_info: Sequence[dict]) -> dict:
        """Arrays from the annotations of an image.

        Returns:
            what :func:`parsed_annotations` gives, ``seg_map``, the file name of the segmentation map, and what
            :meth:`_extra_fields` adds.
        """
        parsed = parsed_annotations(self._usable_annotations(img_info, ann_info), self.cat2label)
        seg_map = osp.splitext(img_info['filename'])[0] + self.seg_suffix
        return dict(parsed, seg_map=seg_map, **self._extra_fields(img_info, parsed['annotations']))

    def _extra_fields(self, img_info: dict, objects: Sequence[dict]) -> dict:
        """More entries for ``ann_info``, from the annotations that ``bboxes`` are of; for subclasses."""
        return {}

    def xyxy2xywh(self, bbox: np.ndarray) -> list[float]:
        """A box (4+,) xyxy px as x, y, width, height."""
        return boxes_to_xywh(np.asarray(bbox)[None])[0]

    def _label2cat(self) -> dict[int, int]:
        """Label -> category id, for results; labels of classes that the file does not have are not in it."""
        return {label: cat for cat, label in self.cat2label.items()}

    def _proposal2json(self, results: Sequence[np.ndarray]) -> list[dict]:
        """Proposals, (n, 5) an image, as a list of COCO's results; the category is always 1."""
        return proposals_to_json(self.img_ids, results)

    def _det2json(self, results: Sequence[Sequence[np.ndarray]]) -> list[dict]:
        """Detections, (n, 5) an image and class, as a list of COCO's results."""
        return detections_to_json(self.img_ids, results, self._label2cat())

    def _segm2json(self, results: Sequence[tuple]) -> tuple[list[dict], list[dict]]:
        """Detections and run-length masks of each image as two lists of COCO's results: boxes and masks."""
        return segmentations_to_json(self.img_ids, results, self._label2cat())

    def results2json(self, results: Sequence[Any], outfile_prefix: str) -> dict[str, str]:
        """Write results as COCO's JSON files, with xywh boxes.

        Args:
            results: for each image detections of each class, a pair of detections and masks, with keypoints as a
                third (not written), or proposals (n, 5).
            outfile_prefix: the files are ``<prefix>.bbox.json``, ``.segm.json``, ``.proposal.json``.

        Returns:
            Kind of result (``'bbox'``, ``'proposal'``, ``'segm'``) -> file.

        Raises:
            TypeError: results of another kind.
        """
        kind = kind_of_results(results)
        if kind == 'keypoints':
            return self.results2json([without_keypoints(result) for result in results], outfile_prefix)
        if kind == 'segm':
            boxes, masks = self._segm2json(results)
            return write_result_files(outfile_prefix, bbox=boxes, segm=masks)
        entries = self._proposal2json(results) if kind == 'proposal' else self._det2json(results)
        return write_result_files(outfile_prefix, **{kind: entries})

    def fast_eval_recall(
        self,
        results: Sequence[np.ndarray],
        proposal_nums: Sequence[int],
        iou_thrs: Sequence[float],
        logger=None,
        coco_gt: COCO | None = None,
    ) -> np.ndarray:
        """Average recall of proposals (P,) for each number of them; classes are left aside, crowds too."""
        return average_recalls(coco_gt or self.coco, self.img_ids, results, proposal_nums, iou_thrs, logger)

    def format_results(self, results: Sequence[Any], jsonfile_prefix: str | None = None, **kwargs) -> WrittenResults:
        """Write results as COCO's JSON files.

        Args:
            results: one for each image.
            jsonfile_prefix: path and beginning of the files' names; None: a temporary folder.
            **kwargs: not used.

        Returns:
            Kind of result -> file, and the temporary folder, which goes with that object, or None.

        Raises:
            TypeError: results are no list.
            ValueError: not one result for each image.
        """
        if not isinstance(results, list):
            raise TypeError(f'results: expected a list, got {type(results).__name__}')
        self._check_count('results', results)
        folder = tempfile.TemporaryDirectory() if jsonfile_prefix is None else None
        prefix = osp.join(folder.name, 'results') if folder else jsonfile_prefix
        return self.results2json(results, prefix), folder

    def _write_for_metrics(self, results: Sequence[Any], prefix: str | None) -> WrittenResults:
        """Files that COCO's metrics read; for subclasses whose :meth:`format_results` writes others."""
        return self.format_results(results, prefix)

    def evaluate_det_segm(
        self,
        results: Sequence[Any],
        result_files: dict[str, str],
        coco_gt: COCO,
        metrics: Sequence[str],
        logger=None,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: Sequence[float] | None = None,
        metric_items: Sequence[str] | str | None = None,
        backend: str = 'pycocotools',
    ) -> dict[str, float | str]:
        """Evaluate results that are written already; see :meth:`evaluate`.

        Args:
            result_files: what :meth:`results2json` gave.
            coco_gt: the annotations.
            metrics: names of metrics.
        """
        thrs = coco_metrics.DEFAULT_IOU_THRS if iou_thrs is None else np.atleast_1d(iou_thrs)
        # users' own methods do not know of a restriction
        restricted = {} if coco_gt is self.coco else dict(coco_gt=coco_gt)
        recalls = partial(self.fast_eval_recall, results, proposal_nums, thrs, logger='silent', **restricted)
        return coco_metrics.figures_of_metrics(
            coco_gt,
            result_files,
            metrics,
            partial(recall_figures, results, proposal_nums, recalls, logger),
            logger=logger,
            cat_ids=self.cat_ids,
            img_ids=self.img_ids,
            proposal_nums=proposal_nums,
            iou_thrs=thrs,
            classwise=classwise,
            metric_items=metric_items,
            backend=backend,
        )

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = 'bbox',
        logger=None,
        jsonfile_prefix: str | None = None,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: Sequence[float] | float | None = None,
        metric_items: Sequence[str] | str | None = None,
        labeled_only: bool = False,
        backend: str = 'pycocotools',
    ) -> dict[str, float | str]:
        """Evaluate results with COCO's metrics.

        Args:
            results: for each image detections of each class (n, 5), a pair of these and masks, or proposals (n, 5).
            metric: one or several of ``'bbox'``, ``'segm'``, ``'proposal'``, ``'proposal_fast'``.
            logger: a logger, None (print) or ``'silent'``.
            jsonfile_prefix: where the results are written to; None: nowhere that stays.
            classwise: also AP of each class, as a table and as figures ``bbox_AP/cat``; without objects there is none.
            proposal_nums: numbers of detections or proposals that recall is given for.
            iou_thrs: thresholds that are averaged over; None: 0.5, 0.55, ... 0.95.
            metric_items: which figures to give back: ``'mAP'``, ``'mAP_50'``, ... ``'AR@100'``, ...; None: the six of
                precision for boxes and masks, those of recall for proposals. ``'F1'``, ``'precision'`` and ``'recall'``
                are of boxes at IoU 0.5, for each class at the score from which on its F1 is best, and their means over
                classes; with ``classwise`` also of each class, with the score: ``bbox_F1/cat``, ``bbox_threshold/cat``.
            labeled_only: where an image says which classes are annotated in it, leave out what is found of others: it
                is neither true nor false; see :func:`labelled_only`.
            backend: what computes the figures of boxes: ``'pycocotools'``, or ``'numpy'``, which is faster.

        Returns:
            ``bbox_mAP``, ``bbox_mAP_50``, ..., ``bbox_mAP_copypaste`` (a text); ``AR@100``, ... for proposals. -1 where
            there is nothing to find.

        Raises:
            KeyError: another metric or figure.
            ValueError: not one result for each image, another backend, or ``labeled_only`` where no image says what is
                annotated.
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        coco_metrics.check_metrics(metrics, metric_items, proposal_nums)
        coco_metrics.check_backend(backend)
        annotations = self.coco
        if labeled_only:
            self._check_count('results', results)
            results, annotations = labelled_only(self, results)
        result_files, folder = self._write_for_metrics(results, jsonfile_prefix)
        try:
            which = (results, result_files, annotations, metrics)
            how = (logger, classwise, proposal_nums, iou_thrs, metric_items, backend)
            return self.evaluate_det_segm(*which, *how)
        finally:
            if folder is not None:
                folder.cleanup()
