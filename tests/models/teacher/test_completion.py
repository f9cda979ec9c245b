"""Batches with added objects, by hand."""

import numpy as np
import pytest
import torch

from mmdet.core.mask import BitmapMasks, PolygonMasks
from mmdet.models.teacher.completion import Added, complete_batch
from mmdet.models.teacher.detections import Detections

BOX = torch.tensor([[1.0, 1, 3, 3]])


def detections(*rows, masks=None):
    rows = torch.tensor(rows).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].long(), masks)


SURE, DOUBTFUL = (4.0, 4, 7, 7, 0.75, 2), (0.0, 5, 2, 7, 0.5, 1)
ADDED = Added(detections(SURE), detections(DOUBTFUL))


def batch(**more):
    return dict(gt_bboxes=[BOX, BOX[:0]], gt_labels=[torch.tensor([1]), torch.zeros(0, dtype=torch.long)], **more)


def test_pseudo_objects_and_ignored_ones_stand_behind_the_annotated_with_their_weights():
    data = batch()
    out = complete_batch(data, [ADDED, None], 'confidence', 0.0, as_regions=False)
    assert out['gt_bboxes'][0].tolist() == [[1, 1, 3, 3], [4, 4, 7, 7], [0, 5, 2, 7]]
    assert out['gt_labels'][0].tolist() == [1, 2, 1] and out['gt_labels'][0].dtype == torch.long
    assert out['gt_weights'][0].tolist() == [[1, 1], [0.75, 0], [0, 0]] and out['gt_weights'][1].shape == (0, 2)
    assert len(data['gt_bboxes'][0]) == 1 and 'gt_weights' not in data  # it is a copy
    out = complete_batch(batch(gt_weights=[torch.tensor([3.0]), torch.zeros(0)]), [ADDED, None], 0.5, 0.25, False)
    assert out['gt_weights'][0].tolist() == [[3, 3], [0.5, 0.25], [0, 0]]


def test_ignored_ones_as_regions_need_no_weights_where_all_weigh_one():
    out = complete_batch(batch(), [ADDED, None], 1.0, 1.0, as_regions=True)
    assert out['gt_bboxes'][0].tolist() == [[1, 1, 3, 3], [4, 4, 7, 7]] and 'gt_weights' not in out
    assert [len(regions) for regions in out['gt_bboxes_ignore']] == [1, 0]
    assert complete_batch(batch(), [ADDED, None], 1.0, 0.0, as_regions=True)['gt_weights'][0].tolist() == [
        [1, 1],
        [1, 0],
    ]


@pytest.mark.parametrize('polygons', [False, True])
def test_masks_and_keypoints_go_along(polygons):
    own = np.zeros((1, 8, 8), np.uint8)
    own[0, 1:4, 1:4] = 1
    masks = [BitmapMasks(own, 8, 8), BitmapMasks(own[:0], 8, 8)]
    if polygons:
        masks = [PolygonMasks([[np.array([1.0, 1, 4, 1, 4, 4, 1, 4])]], 8, 8), PolygonMasks([], 8, 8)]
    predicted = [np.ones((6, 6), bool)]
    added = Added(detections(SURE, masks=predicted), detections(DOUBTFUL))
    points = [torch.ones(1, 5, 3), torch.zeros(0, 5, 3)]
    out = complete_batch(batch(gt_masks=masks, gt_keypoints=points), [added, None], 1.0, 0.0, False)
    assert out['gt_masks'][0].masks.sum((1, 2)).tolist() == [9, 36, 9]  # the last: its box
    assert out['gt_masks'][0].masks[1, 5, 5] == 1 and out['gt_masks'][0].masks[1, 6, 6] == 0
    assert out['gt_keypoints'][0].sum((1, 2)).tolist() == [15, 0, 0]
    assert masks[0].masks is not out['gt_masks'][0] and len(masks[0]) == 1


def test_ground_truth_of_another_kind_is_refused():
    with pytest.raises(ValueError, match='cannot complete gt_extra_labels; it knows gt_bboxes'):
        complete_batch(batch(gt_extra_labels=[]), [None, None], 1.0, 0.0, False)
