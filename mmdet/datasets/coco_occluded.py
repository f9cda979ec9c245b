"""COCO's occluded and separated objects (Zhan et al., A Tri-Layer Plugin to Improve Occluded Detection, BMVC 2022)."""

import os.path as osp
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import pycocotools.mask as mask_utils
from mmcv.utils import print_log
from terminaltables import AsciiTable

from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.formats.fetched_file import under
from mmdet.datasets.registry import DATASETS
from mmdet.utils.plain_data import load_plain

Detection = tuple[float, str, np.ndarray, dict]  # score, class, box (4,) xyxy px, run lengths


def read_objects(path: str) -> list[Sequence]:
    """Objects of a pickle or JSON file, from a disk or an address: class, id, image file, box xywh px, run lengths.

    Raises:
        PlainDataError: the file is damaged, or would run code.
        ValueError: the file holds anything else.
    """
    entries = load_plain(path)
    if not isinstance(entries, list) or not entries or any(len(entry) < 5 for entry in entries):
        raise ValueError(f'{path}: expected a list of objects, each with class, id, image file, box and run lengths')
    return entries


@DATASETS.register_module()
class OccludedSeparatedCocoDataset(CocoDataset):
    """COCO whose masks are also evaluated by recall over the objects that others hide, and over those cut into pieces.

    Args:
        *args: of :class:`CocoDataset`.
        occluded_ann: file of the objects that are hidden in part; read when it is needed.
        separated_ann: file of the objects that others cut into pieces.
        **kwargs: of :class:`CocoDataset`.
    """

    def __init__(
        self,
        *args,
        occluded_ann: str = 'https://www.robots.ox.ac.uk/~vgg/research/tpod/datasets/occluded_coco.pkl',
        separated_ann: str = 'https://www.robots.ox.ac.uk/~vgg/research/tpod/datasets/separated_coco.pkl',
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.occluded_ann, self.separated_ann = (
            path if '://' in path or osp.isfile(path) else under(self.data_root, path)
            for path in (occluded_ann, separated_ann)
        )

    def evaluate(
        self,
        results: Sequence[tuple],
        metric: str | Sequence[str] = (),
        score_thr: float = 0.3,
        iou_thr: float = 0.75,
        **kwargs,
    ) -> dict[str, float | str]:
        """Evaluate masks by recall and, where ``metric`` names some, with COCO's metrics.

        Args:
            results: for each image detections of each class (n, 5) and masks of each class, n run lengths.
            metric: metrics of :meth:`CocoDataset.evaluate`.
            score_thr: detections of a lower score do not count.
            iou_thr: overlap of masks from which on an object is found.
            **kwargs: of :meth:`CocoDataset.evaluate`.

        Returns:
            COCO's figures, and ``occluded_recall`` and ``separated_recall``, per cent.
        """
        out: dict[str, float | str] = OrderedDict()
        if metric:
            out.update(super().evaluate(results, metric=metric, **kwargs))
        out.update(self.evaluate_occluded_separated(results, score_thr, iou_thr, logger=kwargs.get('logger')))
        return out

    def evaluate_occluded_separated(
        self, results: Sequence[tuple], score_thr: float = 0.3, iou_thr: float = 0.75, logger=None
    ) -> dict[str, float]:
        """Recall over both kinds of objects; see :meth:`evaluate`.

        Raises:
            TypeError: the results have no masks.
            ValueError: not one result for each image.
        """
        self._check_count('results', results)
        if any(not isinstance(image, tuple) for image in results):
            raise TypeError('results: recall of occluded objects needs pairs of detections and masks')
        found = {info['filename']: self._detections(image) for info, image in zip(self.data_infos, results)}
        rows, out = [['mask recall', 'recall', 'found', 'objects']], OrderedDict()
        for name, path in (('occluded', self.occluded_ann), ('separated', self.separated_ann)):
            objects = read_objects(path)
            recall, correct = self.compute_recall(found, objects, score_thr, iou_thr, name == 'occluded')
            rows.append([name, f'{recall:.2f}%', correct, len(objects)])
            out[f'{name}_recall'] = recall
        print_log('\n' + AsciiTable(rows).table, logger=logger)
        return out

    def _detections(self, image: tuple) -> list[Detection]:
        """All detections of one image."""
        dets, segms = image
        segms = segms[0] if isinstance(segms, tuple) else segms
        return [
            (float(det[4]), name, det[:4], mask)
            for name, own, masks in zip(self.CLASSES, dets, segms)
            for det, mask in zip(own, masks)
        ]

    def compute_recall(
        self,
        result_dict: Mapping[str, Sequence[Detection]],
        gt_ann: Sequence[Sequence],
        score_thr: float = 0.3,
        iou_thr: float = 0.75,
        is_occ: bool = True,
    ) -> tuple[float, int]:
        """Fraction of objects that a detection of their class covers.

        Args:
            result_dict: image file -> detections.
            gt_ann: objects; see :func:`read_objects`.
            score_thr: detections of a lower score do not count.
            iou_thr: overlap of masks from which on an object is found.
            is_occ: not used: boxes, whose form differs between both kinds of objects, are not compared.

        Returns:
            Recall, per cent, and the number of objects found.

        Raises:
            KeyError: an object's image is not in the data set.
        """
        correct = 0
        without_folder = {osp.basename(name): name for name in result_dict}
        for name, _, filename, _, mask in (entry[:5] for entry in gt_ann):
            if filename not in result_dict:  # the published files name images without their folder
                filename = without_folder.get(filename, filename)
            if filename not in result_dict:
                raise KeyError(f'{filename}: there is no such image in {self.ann_file}, but it has an object')
            name = name if isinstance(name, str) else self.CLASSES[name]
            masks = [det[3] for det in result_dict[filename] if det[0] >= score_thr and det[1] == name]
            if masks and mask_utils.iou(masks, [mask], [0]).max() >= iou_thr:
                correct += 1
        return correct / len(gt_ann) * 100, correct

    def mask_iou(self, mask1: np.ndarray, mask2: np.ndarray) -> float:
        """Overlap of two masks (h, w): intersection over union; 0 for two empty ones."""
        first, second = mask1.astype(bool), mask2.astype(bool)
        return float(np.sum(first & second) / max(np.sum(first | second), 1))
