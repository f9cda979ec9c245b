"""Keypoint R-CNN (https://arxiv.org/abs/1703.06870, section 5)."""

from typing import Any

import numpy as np

from mmdet.core.visualization.keypoints import draw_keypoints
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.faster_rcnn import FasterRCNN


@DETECTORS.register_module()
class KeypointRCNN(FasterRCNN):
    """Keypoint R-CNN; arguments as :class:`FasterRCNN`.

    The result of an image is a triple: boxes with scores (n, 5) of each class, masks of each class or None, and
    keypoints (n, K, 3) of each class (x, y, score).
    """

    def show_result(
        self,
        img: str | np.ndarray,
        result: tuple,
        score_thr: float = 0.3,
        keypoint_thr: float = 0.05,
        **kwargs: Any,
    ) -> np.ndarray | None:
        """Draw one image's detections and their skeletons.

        Args:
            img: path, or BGR array (h, w, 3).
            result: boxes, masks or None, and keypoints, each by class.
            score_thr: objects with a lower score are left out.
            keypoint_thr: points with a lower score are left out; for ``keypoint_score='logit'`` choose another.
            kwargs: as :meth:`BaseDetector.show_result` takes them.

        Returns:
            the picture as BGR array, if it is neither shown nor written.
        """
        boxes, masks, keypoints = result
        shown = np.concatenate(boxes)[:, 4] >= score_thr
        picture = draw_keypoints(
            self.read_image(img),
            np.concatenate(keypoints)[shown],
            self.roi_head.keypoint_head.skeleton.limbs,
            score_thr=keypoint_thr,
        )
        return super().show_result(picture, boxes if masks is None else (boxes, masks), score_thr, **kwargs)
