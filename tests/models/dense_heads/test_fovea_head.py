import math

import pytest
import torch
from free_anchor_fsaf_fovea_heads_cases import GTS, LABELS, NO_LABELS, NOTHING, feats

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.fovea_head import fovea_masks


@pytest.fixture
def fovea():
    def make(**kwargs):
        torch.manual_seed(0)
        test = dict(nms_pre=100, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
        cfg = dict(
            type='FoveaHead', num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, strides=(8, 16),
            base_edge_list=(16, 32), scale_ranges=((1, 20), (16, 64)), test_cfg=test,
        )  # fmt: skip
        return HEADS.build(cfg | kwargs)

    return make


def test_fovea_masks_by_hand():
    # the middle half of 0 .. 32 px is 8 .. 24, that is points 12 and 20: cells 1 and 2
    (mask,) = fovea_masks(torch.tensor([[0.0, 0, 32, 16]]), 0.5, 8, (4, 4))
    assert mask.any(0).tolist() == [False, True, True, False]
    assert mask.any(1).tolist() == [True, True, False, False]  # 4 .. 12: points 4 and 12


def test_fovea_targets_of_the_smaller_object_win(fovea):
    head = fovea(sigma=0.9)
    points = head.prior_generator.grid_priors([(4, 4), (2, 2)], device='cpu')
    gts = torch.tensor([[8.0, 8, 24, 24], [2, 2, 21, 21]])
    labels, targets = head._get_target_single(gts, torch.tensor([0, 1]), [(4, 4), (2, 2)], points)
    assert labels[0].view(4, 4)[1].tolist() == [1, 0, 0, 3]
    torch.testing.assert_close(targets[0][5].exp(), torch.tensor([4.0, 4, 12, 12]) / 16)
    assert targets[0][15].tolist() == [0] * 4  # no object: one base length
    assert (labels[1] == 1).sum() == 1
    swapped = head._get_target_single(gts.flip(0), torch.tensor([1, 0]), [(4, 4), (2, 2)], points)
    assert swapped[0][0].equal(labels[0])


def test_fovea_targets_of_a_batch_run_over_levels_first(fovea):
    head = fovea()
    points = head.prior_generator.grid_priors([(4, 4), (2, 2)], device='cpu')
    labels, targets = head.get_targets([GTS[0], NOTHING], [LABELS[0], NO_LABELS], [(4, 4), (2, 2)], points)
    alone = head._get_target_single(GTS[0], LABELS[0], [(4, 4), (2, 2)], points)
    assert labels[:16].equal(alone[0][0])
    assert labels[32:36].equal(alone[0][1])
    assert (labels[16:32] == 3).all()
    assert targets.shape == (40, 4)


@pytest.mark.parametrize('with_deform', [False, True])
def test_fovea_without_objects_is_finite_and_attached(fovea, with_deform):
    head = fovea(with_deform=with_deform, deform_groups=2)
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [{}] * 2)
    assert losses['loss_bbox'] == 0
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_fovea_boxes_by_hand(fovea, meta):
    head = fovea()
    scores = [torch.full((1, 3, 2, 2), -20.0), torch.full((1, 3, 1, 1), -20.0)]
    scores[0][0, 2, 1, 0] = 0
    deltas = [torch.full((1, 4, 2, 2), math.log(0.25)), torch.zeros(1, 4, 1, 1)]
    dets, labels = head.get_bboxes(scores, deltas, img_metas=[meta(16, 8)])[0]
    assert labels.tolist() == [2]
    torch.testing.assert_close(dets, torch.tensor([[0.0, 8, 7, 15, 0.5]]))  # (0, 8, 8, 16), inside the last pixel


def test_fovea_old_points_are_in_the_middle(fovea):
    with pytest.warns(DeprecationWarning):
        y, x = fovea().get_points([(2, 3), (1, 1)], torch.float32, 'cpu')[0]
    assert y[:, 0].tolist() == [0.5, 1.5]
    assert x[0].tolist() == [0.5, 1.5, 2.5]
