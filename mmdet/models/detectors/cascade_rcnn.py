"""Cascade R-CNN (https://arxiv.org/abs/1712.00726)."""

from typing import Any

import numpy as np

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.two_stage import TwoStageDetector


@DETECTORS.register_module()
class CascadeRCNN(TwoStageDetector):
    """Cascade R-CNN and Cascade Mask R-CNN; arguments as :class:`TwoStageDetector`."""

    def show_result(self, data: str | np.ndarray, result: Any, **kwargs: Any) -> np.ndarray | None:
        """Draw one image's detections.

        Args:
            data: path, or BGR array (h, w, 3).
            result: as of :meth:`BaseDetector.show_result`, or by stage: a dict of which ``'ensemble'`` is shown.
            kwargs: as of :meth:`BaseDetector.show_result`.
        """
        parts = result if isinstance(result, tuple) else (result,)
        parts = tuple(part['ensemble'] if isinstance(part, dict) else part for part in parts)
        return super().show_result(data, parts if isinstance(result, tuple) else parts[0], **kwargs)
