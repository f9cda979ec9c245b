"""LVIS: more than a thousand classes, most of them rare, and not every image checked for every class."""

import contextlib
import io
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.utils import print_log

from mmdet.core.evaluation import lvis_class_lists

from .builder import DATASETS
from .coco import CocoDataset
from .coco_metrics import STEPPED_IOU_THRS

# Figures of the lvis package: how they are called in results.
_FIGURES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf')


@DATASETS.register_module()
class LVISV05Dataset(CocoDataset):
    """LVIS 0.5; evaluated with the package ``lvis``, which knows which classes an image was checked for.

    Arguments are those of :class:`CocoDataset`.
    """

    CLASSES = lvis_class_lists.LVIS_V05
    PALETTE = None

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
    ) -> dict[str, float | str]:
        """Evaluate in the manner of LVIS.

        Args:
            results: as for :meth:`CocoDataset.evaluate`.
            metric: one or several of ``'bbox'``, ``'segm'``, ``'proposal'``, ``'proposal_fast'``.
            logger: a logger, None (print) or ``'silent'``.
            jsonfile_prefix: where the results are written to; None: nowhere that stays.
            classwise: also print AP of each class.
            proposal_nums: numbers of detections that recall is given for; the largest one counts for AP.
            iou_thrs: thresholds that are averaged over.

        Returns:
            ``bbox_AP``, ``bbox_AP50``, ..., with AP of rare, common and frequent classes (``APr``, ``APc``, ``APf``);
            COCO's figures for proposals.

        Raises:
            ImportError: the package ``lvis`` is not installed.
            KeyError: another metric.
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        # the package knows no recall without classes; COCO's evaluation also reports metrics that are not known
        coco_style = [name for name in metrics if name not in ('bbox', 'segm')]
        out: dict[str, float | str] = OrderedDict()
        if coco_style:
            out.update(super().evaluate(results, coco_style, logger, proposal_nums=proposal_nums, iou_thrs=iou_thrs))
        files, folder = self.format_results(results, jsonfile_prefix)
        try:
            for name in metrics:
                if name not in coco_style:
                    out.update(self._run_lvis(files, name, logger, classwise, proposal_nums, iou_thrs))
        finally:
            if folder is not None:
                folder.cleanup()
        return out

    def _run_lvis(
        self,
        files: dict[str, str],
        metric: str,
        logger,
        classwise: bool,
        proposal_nums: Sequence[int],
        iou_thrs: Sequence[float],
    ) -> dict[str, float | str]:
        """One run of the package ``lvis``."""
        if metric not in files:
            raise KeyError(f'metric {metric!r}: the results hold only {", ".join(files)}')
        try:
            from lvis import LVIS, LVISEval, LVISResults
        except ImportError as err:
            raise ImportError('LVIS metrics need the package lvis: pip install lvis') from err
        print_log(f'Evaluating {metric}...', logger=logger)
        ground_truth = LVIS(self.ann_file)
        run = LVISEval(ground_truth, LVISResults(ground_truth, files[metric]), metric)
        run.params.img_ids = list(self.img_ids)
        run.params.cat_ids = list(self.cat_ids)
        run.params.max_dets = max(proposal_nums)
        run.params.iou_thrs = np.asarray(iou_thrs)
        run.run()
        table = io.StringIO()
        with contextlib.redirect_stdout(table):
            run.print_results()
        print_log('\n' + table.getvalue(), logger=logger)
        if classwise:
            print_log(self._class_table(run.eval['precision'][..., 0]), logger=logger)
        figures = run.get_results()
        out: dict[str, float | str] = OrderedDict(
            (f'{metric}_{name}', round(float(figures[name]), 3)) for name in _FIGURES if name in figures
        )
        out[f'{metric}_mAP_copypaste'] = ' '.join(f'{name}:{float(figures[name]):.3f}' for name in _FIGURES)
        return out

    def _class_table(self, precision: np.ndarray) -> str:
        """AP of each class, from precision (thresholds, recalls, classes)."""
        lines = []
        for k, cat_id in enumerate(self.cat_ids):
            known = precision[:, :, k][precision[:, :, k] > -1]
            lines.append(f'{self.coco.cats[cat_id]["name"]}: {known.mean() if known.size else float("nan"):.3f}')
        return '\n' + '\n'.join(lines)


LVISDataset = LVISV05Dataset
DATASETS.register_module(name='LVISDataset', module=LVISDataset)


@DATASETS.register_module()
class LVISV1Dataset(LVISV05Dataset):
    """LVIS 1; arguments are those of :class:`CocoDataset`."""

    CLASSES = lvis_class_lists.LVIS_V1

    def _image_entry(self, img_id: int) -> dict:
        # there are no file names, but the address that the image was loaded from: .../train2017/000000391895.jpg
        info = self.coco.imgs[img_id]
        info.setdefault('file_name', info.get('coco_url', '').replace('http://images.cocodataset.org/', ''))
        return super()._image_entry(img_id)
