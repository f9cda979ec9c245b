import pytest
import torch
from other_assigners_cases import FLAT

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.demodata import random_boxes


@pytest.mark.parametrize('assign_all', [True, False])
def test_ascend_batch_equals_each_image(assign_all):
    boxes, gts, labels = (
        random_boxes(60, 20, 0).reshape(2, 30, 4),
        random_boxes(8, 20, 1).reshape(2, 4, 4),
        torch.arange(8),
    )
    thresholds = dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0.1, gt_max_assign_all=assign_all)
    batch = build_assigner(dict(type='AscendMaxIoUAssigner', **thresholds)).assign(
        boxes, gts, None, labels.reshape(2, 4)
    )
    for i in range(2):
        single = build_assigner(dict(type='MaxIoUAssigner', **thresholds)).assign(
            boxes[i], gts[i], None, labels[4 * i :][:4]
        )
        positive = batch.batch_pos_mask[i] == 1
        assert torch.equal(positive, single.gt_inds > 0) and positive.any()
        assert torch.equal(batch.batch_neg_mask[i] == 1, single.gt_inds == 0)
        assert torch.equal(batch.batch_anchor_gt_labels[i][positive], single.labels[positive])


def test_ascend_masked_boxes_are_neither_positive_nor_negative():
    assigner = build_assigner(dict(type='AscendMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4))
    mask = torch.tensor([[True, False]])
    result = assigner.assign(FLAT[None, :2], FLAT[None, :1], batch_bboxes_ignore_mask=mask)
    assert result.batch_pos_mask.tolist() == [[1, 0]] and result.batch_neg_mask.tolist() == [[0, 0]]
