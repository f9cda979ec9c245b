"""Hidden complete labels, against which pseudo objects are judged; they take no part in the training."""

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps
from mmdet.core.bbox.transforms import bbox_flip
from mmdet.models.teacher.calibration import Counts
from mmdet.models.teacher.detections import SAME_OBJECT, Annotated, Detections


class Diagnosis:
    """Complete labels of a COCO file, by the name of the image.

    They follow resizing and flipping, whose traces are in the images' meta information; not crops or mixtures.

    Args:
        ann_file: of all objects, with the file names and class names of the training data.
        classes: names of the K classes.

    Raises:
        ValueError: the file has none of the classes.
    """

    def __init__(self, ann_file: str, classes: Sequence[str]) -> None:
        content = mmcv.load(ann_file)
        names = {cat['id']: cat['name'] for cat in content['categories']}
        if not set(names.values()) & set(classes):
            raise ValueError(
                f'diagnose_with: {ann_file} has none of the classes {list(classes)}: {sorted(names.values())}'
            )
        files = {image['id']: osp.basename(image['file_name']) for image in content['images']}
        self.objects: dict[str, list[list[float]]] = {name: [] for name in files.values()}
        for ann in content['annotations']:
            if names[ann['category_id']] in classes and not ann.get('iscrowd', 0):
                x, y, w, h = ann['bbox']
                label = list(classes).index(names[ann['category_id']])
                self.objects[files[ann['image_id']]].append([x, y, x + w, y + h, label])

    def truth(self, img_meta: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Boxes (G, 4) px of the network's input and labels (G,) of one image.

        Raises:
            KeyError: the file does not have the image.
        """
        name = osp.basename(str(img_meta['filename']))
        if name not in self.objects:
            raise KeyError(f'diagnose_with: the file has no image {name!r}')
        rows = torch.tensor(self.objects[name], dtype=torch.float32).reshape(-1, 5)
        factor = torch.as_tensor(np.broadcast_to(np.asarray(img_meta['scale_factor'], np.float32), (4,)).copy())
        boxes = rows[:, :4] * factor
        if img_meta.get('flip'):
            boxes = bbox_flip(boxes, img_meta['img_shape'], img_meta['flip_direction'])
        return boxes, rows[:, 4].long()

    def judge(
        self, counts: Counts, objects: Detections, annotated: Annotated, completed: Tensor, img_meta: Mapping[str, Any]
    ) -> None:
        """Count right pseudo objects, and found hidden objects, of one image; ``completed`` (K,) are the classes."""
        boxes, labels = self.truth(img_meta)
        hidden = completed[labels]
        if len(annotated.boxes) and len(boxes):
            ious = bbox_overlaps(boxes, annotated.boxes) * (labels[:, None] == annotated.labels)
            hidden &= ious.amax(1) < SAME_OBJECT
        counts.add('judged', len(objects.boxes))
        counts.add('missing', hidden.sum())
        if len(objects.boxes) and len(boxes):
            same = (bbox_overlaps(objects.boxes, boxes) >= SAME_OBJECT) & (objects.labels[:, None] == labels)
            counts.add('right', same.any(1).sum())
            counts.add('hit', (same.any(0) & hidden).sum())
