import torch
from torch.nn import functional as F

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.assigners.sim_ota_assigner import classification_cost


def test_sim_ota_number_of_positives_is_the_sum_of_overlaps():
    boxes = torch.tensor([[0.0, 0, 16, 16]]).repeat(4, 1)
    boxes[3] += 1
    priors = torch.tensor([[8.0, 8, 8, 8]]).repeat(4, 1)
    scores = torch.tensor([[0.9], [0.8], [0.1], [0.9]])
    gts = torch.tensor([[0.0, 0, 16, 16]])
    result = build_assigner(dict(type='SimOTAAssigner')).assign(scores, priors, boxes, gts, torch.tensor([0]))
    assert (result.gt_inds > 0).sum() == 3  # int(1 + 1 + 1 + 225 / 287)
    assert result.gt_inds[0] == 1


def test_sim_ota_far_priors_are_not_considered():
    assigner = build_assigner(dict(type='SimOTAAssigner', center_radius=1))
    priors = torch.tensor([[8.0, 8, 4, 4], [14, 14, 4, 4], [40, 40, 4, 4], [18, 8, 12, 12]])
    valid, both = assigner.get_in_gt_and_in_center_info(priors, torch.tensor([[0.0, 0, 16, 16]]))
    assert valid.tolist() == [True, True, False, True]
    assert both.tolist() == [[True], [False], [False]]


def test_classification_cost_is_the_cross_entropy_of_roots_against_each_objects_class():
    scores = torch.rand(7, 5, generator=torch.Generator().manual_seed(0))
    scores[0, 0], scores[1, 1] = 0, 1  # logarithms of zero are cut off at -100
    labels = torch.tensor([1, 4, 1, 0])
    targets = F.one_hot(labels, 5).float().expand(7, 4, 5)
    one_by_one = F.binary_cross_entropy(scores.sqrt()[:, None].expand(7, 4, 5), targets, reduction='none').sum(-1)
    torch.testing.assert_close(classification_cost(scores, labels), one_by_one)
