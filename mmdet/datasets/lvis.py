"""LVIS: more than a thousand classes, most of them rare, and not every image checked for every class."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import mmcv
from mmcv.utils import print_log

from mmdet.core.evaluation import lvis_class_lists
from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.metrics.class_figures import by_class
from mmdet.datasets.metrics.coco_metrics import STEPPED_IOU_THRS
from mmdet.datasets.metrics.lvis_metrics import evaluate_lvis
from mmdet.datasets.mixing.partial_labels import labelled_only
from mmdet.datasets.mixing.verified_classes import lvis_verified, note_verified
from mmdet.datasets.registry import DATASETS
from mmdet.utils.errors import MissingResultsError

# The figures that results hold.
_FIGURES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf')


@DATASETS.register_module()
class LVISV05Dataset(CocoDataset):
    """LVIS 0.5; its AP counts the classes that an image was checked for (:mod:`mmdet.datasets.metrics.lvis_metrics`).

    Args:
        *args, **kwargs: as of :class:`CocoDataset`.
        verified_classes: note in each image's entry the categories that it was checked for and all objects of which
            are annotated, for the pipeline to hand on (docs/partial_labels.md).

    Raises:
        ValueError: as :class:`CocoDataset`; with ``verified_classes`` also an image that does not say what it was
            checked for.
    """

    CLASSES = lvis_class_lists.LVIS_V05
    PALETTE = None

    def __init__(self, *args, verified_classes: bool = False, **kwargs):
        self.verified_classes = verified_classes
        super().__init__(*args, **kwargs)

    def _open_coco(self, ann_file: str) -> COCO:
        coco = super()._open_coco(ann_file)
        for img_id, img in coco.imgs.items() if self.verified_classes else ():
            annotated = {ann['category_id'] for ann in coco.img_ann_map.get(img_id, ())}
            note_verified(img, lvis_verified(img, annotated))
        return coco

    def _image_entry(self, img_id: int) -> dict:
        # LVIS names its images by COCO's ids, with the split in front of some
        info = self.coco.imgs[img_id]
        if info.get('file_name', '').startswith('COCO'):
            info['file_name'] = info['file_name'][-16:]
        return super()._image_entry(img_id)

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = 'bbox',
        logger=None,
        jsonfile_prefix: str | None = None,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: Sequence[float] = STEPPED_IOU_THRS,
        labeled_only: bool = False,
    ) -> dict[str, float | str]:
        """Evaluate in the manner of LVIS.

        Args:
            results: as for :meth:`CocoDataset.evaluate`.
            metric: one or several of ``'bbox'``, ``'segm'``, ``'proposal'``, ``'proposal_fast'``.
            logger: a logger, None (print) or ``'silent'``.
            jsonfile_prefix: where the results are written to; None: nowhere that stays.
            classwise: also AP of each class, printed and as figures ``bbox_AP/cat``.
            proposal_nums: numbers of proposals that recall is given for; of detections 300 an image count.
            iou_thrs: thresholds that are averaged over.
            labeled_only: as of :meth:`CocoDataset.evaluate`. LVIS leaves out detections of classes that an image was
                not checked for anyway; this also leaves out classes of which not all objects are annotated in an image,
                objects and detections.

        Returns:
            ``bbox_AP``, ``bbox_AP50``, ..., with AP of rare, common and frequent classes (``APr``, ``APc``, ``APf``);
            COCO's figures for proposals.

        Raises:
            KeyError: another metric.
            ValueError: not one result for each image, an image that does not say what it was checked for, or
                ``labeled_only`` where no image says what is annotated (``verified_classes`` makes all say it).
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        # LVIS knows no recall without classes; COCO's evaluation also reports metrics that are not known
        coco_style = [name for name in metrics if name not in ('bbox', 'segm')]
        out: dict[str, float | str] = OrderedDict()
        if coco_style:
            shared = dict(proposal_nums=proposal_nums, iou_thrs=iou_thrs, labeled_only=labeled_only)
            out.update(super().evaluate(results, coco_style, logger, **shared))
        truth = self.coco
        if labeled_only:
            self._check_count('results', results)
            results, truth = labelled_only(self, results)
        files, folder = self.format_results(results, jsonfile_prefix)
        try:
            for name in metrics:
                if name not in coco_style:
                    out.update(self._run_lvis(truth, files, name, logger, classwise, iou_thrs))
        finally:
            if folder is not None:
                folder.cleanup()
        return out

    def _run_lvis(
        self,
        truth: COCO,
        files: dict[str, str],
        metric: str,
        logger,
        classwise: bool,
        iou_thrs: Sequence[float],
    ) -> dict[str, float | str]:
        """LVIS's figures of one metric."""
        if metric not in files:
            raise MissingResultsError(f'metric {metric!r}: the results hold only {", ".join(files)}')
        print_log(f'Evaluating {metric}...', logger=logger)
        found = evaluate_lvis(
            {img_id: truth.imgs[img_id] for img_id in self.img_ids},
            truth.dataset.get('annotations', ()),
            {cat_id: truth.cats[cat_id] for cat_id in self.cat_ids},
            mmcv.load(files[metric]),
            metric,
            iou_thrs,
        )
        lines = [f'{name:<8} {value:7.4f}' for name, value in found.figures.items()]
        print_log('\n' + '\n'.join(lines), logger=logger)
        if classwise:
            aps = zip(self.cat_ids, found.class_aps)
            rows = [f'{truth.cats[cat_id]["name"]}: {ap:.3f}' for cat_id, ap in aps]
            print_log('\n' + '\n'.join(rows), logger=logger)
        figures = {name: found.figures[name] for name in _FIGURES}
        out: dict[str, float | str] = OrderedDict(
            (f'{metric}_{name}', round(value, 3)) for name, value in figures.items()
        )
        out[f'{metric}_mAP_copypaste'] = ' '.join(f'{name}:{value:.3f}' for name, value in figures.items())
        if classwise:
            names = [truth.cats[cat_id]['name'] for cat_id in self.cat_ids]
            out.update(by_class(f'{metric}_AP', names, found.class_aps))
        return out


LVISDataset = LVISV05Dataset
DATASETS.register_module(name='LVISDataset', module=LVISDataset)


@DATASETS.register_module()
class LVISV1Dataset(LVISV05Dataset):
    """LVIS 1; arguments are those of :class:`LVISV05Dataset`."""

    CLASSES = lvis_class_lists.LVIS_V1

    def _image_entry(self, img_id: int) -> dict:
        # there are no file names, but the address that the image was loaded from: .../train2017/000000391895.jpg
        info = self.coco.imgs[img_id]
        info.setdefault('file_name', info.get('coco_url', '').replace('http://images.cocodataset.org/', ''))
        return super()._image_entry(img_id)
