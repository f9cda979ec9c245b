"""InstaBoost."""

from collections.abc import Sequence

import numpy as np

from mmdet.datasets.pipelines.optional import require
from mmdet.datasets.registry import PIPELINES


@PIPELINES.register_module()
class InstaBoost:
    """Move objects about in their image (https://arxiv.org/abs/1908.07801), by the package instaboostfast.

    Goes between the loading of the image and that of the annotations, as it changes ``ann_info``.

    Args:
        action_candidate: what may be done to an object: 'normal', 'horizontal', 'skip'.
        action_prob: the chance of each.
        scale: smallest and largest factor.
        dx: the largest move is the object's width divided by this.
        dy: likewise with the height.
        theta: smallest and largest turn, degrees.
        color_prob: chance of a change of colour.
        hflag: use the map of heat.
        aug_ratio: chance that anything is done.

    Raises:
        ImportError: instaboostfast is not there.
    """

    def __init__(
        self,
        action_candidate: Sequence[str] = ('normal', 'horizontal', 'skip'),
        action_prob: Sequence[float] = (1, 0, 0),
        scale: tuple[float, float] = (0.8, 1.2),
        dx: float = 15,
        dy: float = 15,
        theta: tuple[float, float] = (-1, 1),
        color_prob: float = 0.5,
        hflag: bool = False,
        aug_ratio: float = 0.5,
    ) -> None:
        self.cfg = require('instaboostfast', 'InstaBoost').InstaBoostConfig(
            action_candidate, action_prob, scale, dx, dy, theta, color_prob, hflag
        )
        self.aug_ratio = aug_ratio

    def _load_anns(self, results: dict) -> list[dict]:
        """The annotations as the package wants them, with boxes as x, y, w, h."""
        ann_info = results['ann_info']
        return [
            dict(category_id=label, segmentation=mask, bbox=[x1, y1, x2 - x1, y2 - y1])
            for label, mask, (x1, y1, x2, y2) in zip(ann_info['labels'], ann_info['masks'], ann_info['bboxes'])
        ]

    def _parse_anns(self, results: dict, anns: list[dict], img: np.ndarray) -> dict:
        """Put image and annotations back; objects without area are left out."""
        anns = [ann for ann in anns if ann['bbox'][2] > 0 and ann['bbox'][3] > 0]
        boxes = np.array([ann['bbox'] for ann in anns], dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        results['ann_info'] = dict(
            results['ann_info'],
            labels=np.array([ann['category_id'] for ann in anns], dtype=np.int64),
            bboxes=boxes,
            masks=[ann['segmentation'] for ann in anns],
        )
        results['img'] = img
        return results

    def __call__(self, results: dict) -> dict:
        if not np.random.choice([0, 1], p=[1 - self.aug_ratio, self.aug_ratio]):
            return results
        img = results['img']
        if 'extra_labels' in results['ann_info']:
            raise NotImplementedError('InstaBoost does not know extra labels of objects')
        if 'keypoints' in results['ann_info']:
            raise NotImplementedError('InstaBoost does not know keypoints')
        get_new_data = require('instaboostfast', 'InstaBoost').get_new_data
        anns, boosted = get_new_data(self._load_anns(results), img.astype(np.uint8), self.cfg, background=None)
        return self._parse_anns(results, anns, boosted.astype(img.dtype))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(aug_ratio={self.aug_ratio})'
