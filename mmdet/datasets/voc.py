"""PASCAL VOC, with its own kind of mAP."""

from collections.abc import Sequence
from typing import Any

from mmdet.core.evaluation import class_lists
from mmdet.core.visualization.dataset_colours import VOC_PALETTE
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

    def _rules_of_map(self) -> tuple[str | Sequence[str] | None, dict[str, Any]]:
        """Corners are inclusive pixels; 2007 averages precision at 11 recalls."""
        return 'voc07' if self.year == 2007 else self.CLASSES, dict(use_legacy_coordinate=True)
