"""PASCAL VOC, with its own kind of mAP."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdet.core.evaluation import class_lists
from mmdet.core.visualization.dataset_colours import VOC_PALETTE
from mmdet.datasets.metrics.custom_metrics import map_metrics, only_metric, recall_metrics
from mmdet.datasets.registry import DATASETS
from mmdet.datasets.xml_style import XMLDataset


@DATASETS.register_module()
class VOCDataset(XMLDataset):
    """PASCAL VOC 2007 or 2012; which one is read from ``img_prefix`` (``.../VOC2007/``).

    Args:
        **kwargs: arguments of :class:`XMLDataset`.

    Raises:
        ValueError: ``img_prefix`` names neither year.
    """

    CLASSES = class_lists.VOC
    PALETTE = VOC_PALETTE

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        years = [year for year in (2007, 2012) if f'VOC{year}' in self.img_prefix]
        if not years:
            raise ValueError(
                f"VOCDataset: img_prefix {self.img_prefix!r} holds neither 'VOC2007' nor 'VOC2012', which decides how "
                "mAP is averaged; for other data in VOC's format use XMLDataset with classes=(...)"
            )
        self.year = years[0]

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = 'mAP',
        logger=None,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thr: float | Sequence[float] = 0.5,
        scale_ranges: Sequence[tuple[float, float]] | None = None,
        classwise: bool = False,
    ) -> dict[str, float]:
        """Evaluate as VOC does: corners are inclusive pixels; 2007 averages precision at 11 recalls.

        Arguments, result and errors are those of :meth:`CustomDataset.evaluate`.
        """
        metric = only_metric(metric, ('mAP', 'recall'), type(self).__name__)
        self._check_count('results', results)
        annotations = [self.get_ann_info(i) for i in range(len(self))]
        iou_thrs = np.atleast_1d(iou_thr).tolist()
        if metric == 'recall':
            return recall_metrics(annotations, results, proposal_nums, iou_thrs, logger, use_legacy_coordinate=True)
        names = 'voc07' if self.year == 2007 else self.CLASSES
        classes = self.CLASSES if classwise else None
        return map_metrics(
            annotations, results, iou_thrs, scale_ranges, names, logger, classes, use_legacy_coordinate=True
        )
