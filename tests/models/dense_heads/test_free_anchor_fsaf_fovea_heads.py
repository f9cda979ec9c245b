"""The heads of FreeAnchor, FSAF and FoveaBox."""

import math

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.fovea_head import fovea_masks
from mmdet.models.dense_heads.free_anchor_retina_head import found_by_class

LEVELS = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
SMALL = dict(type='AnchorGenerator', octave_base_scale=1, scales_per_octave=1, ratios=[1.0], strides=[8, 16])
GTS = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [12, 1, 31, 22]])]
LABELS = [torch.tensor([1]), torch.tensor([1, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


def feats(num=2):
    torch.manual_seed(1)
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]


@pytest.fixture
def free(build_head):
    def make(**kwargs):
        focal = dict(type='FocalLoss', use_sigmoid=True)
        loss = dict(loss_cls=focal, loss_bbox=dict(type='SmoothL1Loss', beta=0.11))
        common = dict(num_classes=3, stacked_convs=1, anchor_generator=LEVELS, pre_anchor_topk=3)
        return build_head('FreeAnchorRetinaHead', dict(sampler=None), **common | loss | kwargs)

    return make


@pytest.fixture
def fsaf(build_head):
    assigner = dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4, min_pos_iof=0.01)
    return build_head(
        'FSAFHead', dict(assigner=assigner, sampler=None), num_classes=3, stacked_convs=1, anchor_generator=SMALL,
        bbox_coder=dict(type='TBLRBBoxCoder', normalizer=4.0), reg_decoded_bbox=True,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, reduction='none'),
        loss_bbox=dict(type='IoULoss', reduction='none'),
    )  # fmt: skip


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


def test_found_by_class_by_hand():
    gts, labels = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8]]), torch.tensor([2, 2])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 7], [50, 50, 60, 60]])
    found = found_by_class(boxes, gts, labels, 3, 0.5)
    # IoUs with the first 1, 0.8, 0.7, 0; with the second 0.8, 1, 7 / 8, 0
    torch.testing.assert_close(found[:, 2], torch.tensor([1, 1, (7 / 8 - 0.5) / 0.5, 0]))
    assert not found[:, :2].any()
    assert not found_by_class(boxes, NOTHING, NO_LABELS, 3, 0.5).any()


def test_bag_loss_by_hand(free):
    head = free(alpha=0.25)
    # weights 1 / (1 - p) are 1 and 2: their mean is (0 + 2 * 0.5) / 3
    loss = head.positive_bag_loss(torch.tensor([[0.0, 0.5]]), torch.ones(1, 2))
    torch.testing.assert_close(loss, torch.tensor([0.25 * math.log(3)]))
    negative = head.negative_bag_loss(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(negative, torch.tensor([0.75 * 0.25 * math.log(2), 0.0]))


def test_free_anchor_losses_of_a_batch_are_those_of_its_images(free, meta):
    head, x, metas = free(), feats(), [meta(32, 32)] * 2
    batch = head.loss(*head(x), GTS, LABELS, metas)
    images = [head.loss(*head([f[i : i + 1] for f in x]), GTS[i : i + 1], LABELS[i : i + 1], metas[:1]) for i in (0, 1)]
    for name, value in batch.items():
        torch.testing.assert_close(value * 3, images[0][name] + images[1][name] * 2)


def test_free_anchor_without_objects_is_finite_and_attached(free, meta):
    head = free()
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert losses['positive_bag_loss'] == 0
    assert losses['negative_bag_loss'] > 0
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_free_anchor_takes_bags_larger_than_the_image_has_anchors(free, meta):
    head = free(pre_anchor_topk=500)
    assert head.loss(*head(feats()), GTS, LABELS, [meta(32, 32)] * 2)['positive_bag_loss'].isfinite()


def test_fsaf_mean_loss_of_each_object_by_hand(fsaf):
    cls_loss, reg_loss = torch.tensor([[1.0, 1], [2, 0], [0, 5], [7, 7]]), torch.tensor([0.5, 1, 0, 0])
    (losses,) = fsaf.collect_loss_level_single(cls_loss, reg_loss, torch.tensor([0, 0, 2, -1]), torch.arange(3))
    assert losses.tolist() == [2.75, 1e6, 5]


def test_fsaf_object_learns_on_one_level_only(fsaf):
    cls_loss, reg_loss = torch.tensor([[1.0, 1], [2, 3], [4, 5]]), torch.tensor([0.5, 1, 2])
    args = (cls_loss, reg_loss, torch.tensor([1, 0, -1]), torch.tensor([1, 0, 2]))
    loss_cls, loss_bbox, positive = fsaf.reweight_loss_single(*args, level=0, min_levels=torch.tensor([1, 0]))
    assert positive.tolist() == [True, False, False]
    assert loss_cls == 16 - 2  # of the second anchor only its own class is left out
    assert loss_bbox == 2.5


def test_fsaf_targets_leave_out_classes_of_surrounding_objects(fsaf, meta):
    anchors, flags = fsaf.get_anchors([(4, 4), (2, 2)], [meta(32, 32)], device='cpu')
    gts, labels = torch.tensor([[0.0, 0, 32, 32]]), torch.tensor([2])
    result = fsaf._get_targets_single(torch.cat(anchors[0]), torch.cat(flags[0]), gts, None, labels, meta(32, 32), 3)
    positive, left_out = result[0] < 3, (result[1] == 0).nonzero()
    assert positive.any()
    assert len(left_out)
    assert (left_out[:, 1] == 2).all()
    assert not positive[left_out[:, 0]].any()
    assert result[7].tolist() == torch.where(positive, 0, -1).tolist()


def test_fsaf_counts_positives_and_recall(fsaf, meta):
    losses = fsaf.loss(*fsaf(feats()), GTS, LABELS, [meta(32, 32)] * 2)
    assert losses['num_pos'] >= 1.5  # three objects in two images
    assert 0 <= losses['pos_recall'] <= 100


def test_fsaf_without_objects_is_finite_and_attached(fsaf, meta):
    losses = fsaf.loss(*fsaf(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert sum(losses['loss_bbox']) == losses['num_pos'] == 0
    sum(sum(losses[name]) for name in ('loss_cls', 'loss_bbox')).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fsaf.parameters())


def test_fsaf_distances_start_positive(fsaf):
    fsaf.init_weights()
    torch.testing.assert_close(fsaf.retina_reg.bias, torch.full((4,), 0.25))
    assert all((level >= 0).all() for level in fsaf(feats())[1])


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
