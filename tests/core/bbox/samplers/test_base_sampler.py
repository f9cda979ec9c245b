import pytest
import torch
from samplers_cases import assigned

from mmdet.core.bbox.samplers import RandomSampler


def test_image_without_boxes_and_ground_truth_keeps_shapes():
    result = RandomSampler(10, 0.5).sample(
        assigned([], 0), torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    )
    assert result.pos_bboxes.shape == result.neg_bboxes.shape == result.pos_gt_bboxes.shape == (0, 4)
    assert result.pos_inds.shape == result.pos_gt_labels.shape == (0,)


def test_adding_ground_truth_needs_labels():
    with pytest.raises(ValueError, match='gt_labels must be given where add_gt_as_proposals is True'):
        RandomSampler(4, 0.5).sample(assigned([1]), torch.zeros(1, 4), torch.zeros(2, 4))
