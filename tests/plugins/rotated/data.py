"""Boxes that stand upright in the file, turned; recall over turned boxes."""

import numpy as np
import torch
from mmcv.ops import box_iou_rotated

from mmdet.datasets import DATASETS, PIPELINES, CocoDataset

ANGLE = 0.3


def turned(boxes):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centre, size, np.full((len(boxes), 1), ANGLE, np.float32)], 1)


@PIPELINES.register_module()
class TurnBoxes:
    def __call__(self, results):
        results['gt_bboxes'] = turned(results['gt_bboxes'])
        return results


@DATASETS.register_module()
class RotatedDataset(CocoDataset):
    def evaluate(self, results, metric='recall', logger=None, iou_thr=0.1, **kwargs):
        hits = total = 0
        for i, per_class in enumerate(results):
            ann = self.get_ann_info(i)
            for box, label in zip(turned(ann['bboxes']), ann['labels']):
                total += 1
                dets = torch.as_tensor(per_class[label][:, :5])
                hits += bool(len(dets) and box_iou_rotated(dets, torch.as_tensor(box)[None]).max() >= iou_thr)
        return dict(recall=hits / max(total, 1), boxes=total)
