"""Guided anchoring on a 4x4 map of stride 8; squares are 16 px wide, as are the objects of the first level."""

import copy

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.guided.guided_targets import location_targets, region_masks, sampled_approxs
from mmdet.models.dense_heads.ga_rpn_head import GARPNHead, ranks_in_groups

MAX_IOU = dict(pos_iou_thr=0.5, neg_iou_thr=0.3, min_pos_iou=0.3, ignore_iof_thr=-1)
ALL = dict(type='RandomSampler', num=1000, pos_fraction=0.5, add_gt_as_proposals=False)
TRAIN = dict(
    assigner=dict(type='MaxIoUAssigner', **MAX_IOU), ga_assigner=dict(type='ApproxMaxIoUAssigner', **MAX_IOU),
    sampler=ALL, ga_sampler=ALL, allowed_border=-1, pos_weight=-1, center_ratio=0.2, ignore_ratio=0.5,
)  # fmt: skip
TEST = dict(
    nms_pre=100, nms_post=50, score_thr=0.0, min_bbox_size=0, nms=dict(type='nms', iou_threshold=0.7), max_per_img=10
)  # fmt: skip
APPROXS = dict(type='AnchorGenerator', octave_base_scale=2, scales_per_octave=2, ratios=[0.5, 1.0, 2.0], strides=[8])
SQUARES = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8])
GTS = [torch.tensor([[8.0, 8, 24, 24]]), torch.tensor([[2.0, 10, 15, 30], [17, 1, 30, 15]])]
NOTHING = torch.zeros(0, 4)


@pytest.fixture
def build():
    def make(kind='GARPNHead', test=None, **kwargs):
        torch.manual_seed(0)
        cfg = dict(
            type=kind, in_channels=4, feat_channels=4, deform_groups=2, approx_anchor_generator=APPROXS,
            square_anchor_generator=SQUARES, train_cfg=TRAIN, test_cfg=TEST | (test or {}),
        )  # fmt: skip
        if kind.startswith(('GARetinaHead', 'GuidedAnchorHead')):
            cfg |= dict(num_classes=3)
        if kind.startswith('GARetinaHead'):
            focal = dict(type='FocalLoss', use_sigmoid=True)
            cfg |= dict(stacked_convs=1, loss_cls=focal, train_cfg=TRAIN | dict(sampler=None))
        return HEADS.build(copy.deepcopy(cfg) | kwargs)

    return make


def losses_of(head, feats, gts, metas):
    labels = () if isinstance(head, GARPNHead) else ([torch.ones(len(g), dtype=torch.long) for g in gts],)
    return head.loss(*head([feats]), gts, *labels, metas)


def test_region_masks_by_hand():
    # a fifth of the side is left: 14.4 .. 17.6 px are cells 1.8 .. 2.2, that is cell 2
    masks = region_masks(GTS[0], 0.4, 8, (4, 4))
    assert masks[0].nonzero().tolist() == [[2, 2]]
    # half of the side: 7.75 .. 23.25 px are cells 0.97 .. 2.9, that is 1 .. 3
    assert region_masks(torch.tensor([[0.0, 0, 31, 31]]), 0.25, 8, (4, 4))[0].sum() == 9


def test_location_targets_by_hand():
    gts = torch.tensor([[0.0, 0, 32, 32]])  # level 0 has objects from 32 px on
    (target, _), (weight, beside) = location_targets(gts, [(4, 4), (2, 2)], [8, 16], 32, 0.2, 0.5)
    assert target.nonzero().tolist() == [[2, 2]]
    assert weight[2, 2] == 1
    assert weight[1:4, 1:4].sum() == 1  # the ring around the centre is left out
    torch.testing.assert_close(weight[0], torch.full((4,), 0.1))
    assert not beside.any()  # cells 0.5 .. 1.5, rounded half to even, are 0 .. 2


def test_location_targets_the_last_of_two_objects_decides():
    first, second = torch.tensor([8.0, 8, 24, 24]), torch.tensor([-4.0, 4, 28, 28])
    for gts, weight in ((torch.stack([first, second]), 1), (torch.stack([first]), 1)):
        _, (weights,) = location_targets(gts, [(4, 4)], [8], 16, 0.2, 0.5)
        assert weights[2, 2] == weight
    (target,), (weights,) = location_targets(torch.stack([first, second + 12]), [(4, 4)], [8], 16, 0.2, 0.9)
    assert target[2, 2]
    assert weights[2, 2] == 0  # a centre of the first, but in the ring of the second


def test_location_targets_without_objects_are_all_negative():
    (target,), (weight,) = location_targets(NOTHING, [(2, 3)], [8], 16, 0.2, 0.5)
    assert not target.any()
    torch.testing.assert_close(weight, torch.full((2, 3), 0.1))


def test_squares_count_where_one_approximation_is_inside(build, meta):
    head = build()
    approxs, inside = sampled_approxs(head.approx_anchor_generator, [(4, 4)], [meta(32, 32), meta(32, 16)], 0, 'cpu')
    assert approxs[0][0].shape == (4 * 4 * 6, 4)
    # the smallest are 16x16, 22.6x11.3 and 11.3x22.6
    assert inside[0][0].view(4, 4).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]
    assert inside[1][0].view(4, 4).any(0).tolist() == [False, True, False, False]


def test_guided_anchors_have_the_predicted_shapes(build, meta):
    head = build()
    shapes = torch.zeros(1, 2, 4, 4)
    shapes[0, 0, 1, 2] = torch.tensor(2.0).log()  # twice as wide in row 1, column 2
    squares, anchors, masks = head.get_anchors([(4, 4)], [shapes], [torch.zeros(1, 1, 4, 4)], [meta(32, 32)], False)
    anchors = anchors[0][0].view(4, 4, 4)
    torch.testing.assert_close(anchors[1, 2], torch.tensor([0.0, 0, 32, 16]))
    torch.testing.assert_close(anchors[0, 0], torch.tensor([-8.0, -8, 8, 8]))
    assert masks[0][0].all()


def test_location_filter_keeps_marked_cells_only(build, meta):
    head = build(loc_filter_thr=0.5)
    places = torch.full((1, 1, 4, 4), -1.0)
    places[0, 0, 3, 0] = 1
    _, anchors, masks = head.get_anchors([(4, 4)], [torch.zeros(1, 2, 4, 4)], [places], [meta()], use_loc_filter=True)
    assert masks[0][0].nonzero().tolist() == [[12]]
    assert anchors[0][0].tolist() == [[-8, 16, 8, 32]]


@pytest.mark.parametrize('kind', ['GARPNHead', 'GARetinaHead', 'GuidedAnchorHead'])
def test_evaluation_gives_the_numbers_of_training_in_marked_cells(build, kind):
    head, x = build(kind, loc_filter_thr=0.5), torch.randn(2, 4, 5, 6)
    torch.nn.init.normal_(head.conv_loc.weight)
    everywhere = head([x])
    filtered = head.eval()([x])
    mask = everywhere[3][0].sigmoid() >= 0.5
    assert 0 < mask.sum() < mask.numel()
    for full, part in zip(everywhere[:2], filtered[:2]):
        torch.testing.assert_close(part[0], full[0] * mask)


@pytest.mark.parametrize('kind', ['GARPNHead', 'GARetinaHead', 'GuidedAnchorHead'])
def test_loss_without_objects_is_finite_and_attached(build, meta, kind):
    head = build(kind)
    losses = losses_of(head, torch.randn(2, 4, 4, 4), [NOTHING, NOTHING], [meta(32, 32)] * 2)
    boxes = [name for name in losses if 'bbox' in name or 'shape' in name]
    assert len(boxes) == 2
    assert all(sum(losses[name]) == 0 for name in boxes)
    total = sum(sum(value) for value in losses.values())
    total.backward()
    assert total.isfinite()
    assert all(p.grad is not None for name, p in head.named_parameters() if 'conv_offset' not in name)


def test_shape_loss_of_a_square_on_its_object_is_zero(build, meta):
    strict = dict(type='ApproxMaxIoUAssigner', **MAX_IOU | dict(pos_iou_thr=0.95))
    head = build(train_cfg=TRAIN | dict(ga_assigner=strict))
    maps = [torch.zeros(1, c, 4, 4) for c in (1, 4, 2, 1)]
    for shift, zero in ((0, True), (3, False)):
        losses = head.loss(*([m] for m in maps), [GTS[0] + shift], [meta(32, 32)])
        assert (losses['loss_anchor_shape'][0] < 1e-3) == zero


def test_proposals_of_a_batch_equal_those_of_its_images(build, meta):
    head, x = build().eval(), torch.randn(2, 4, 4, 4)
    torch.nn.init.normal_(head.conv_cls.weight)
    metas = [meta(32, 32), meta(30, 28)]
    batch = head.simple_test_rpn([x], metas)
    for i, proposals in enumerate(batch):
        torch.testing.assert_close(proposals, head.simple_test_rpn([x[i : i + 1]], metas[i : i + 1])[0])
        assert proposals.shape == (10, 5)
        assert (proposals[:-1, 4] >= proposals[1:, 4]).all()


def test_proposals_without_any_likely_place_are_empty(build, meta):
    head = build(loc_filter_thr=1.1).eval()
    assert head.simple_test_rpn([torch.randn(1, 4, 4, 4)], [meta(32, 32)])[0].shape == (0, 5)


def test_proposals_across_levels_and_soft_suppression(build, meta):
    x, soft = [torch.randn(1, 4, 4, 4)], dict(nms=dict(type='soft_nms', iou_threshold=0.5))
    assert len(build(test=dict(nms_across_levels=True)).simple_test_rpn(x, [meta(32, 32)])[0]) <= 10
    with pytest.raises(NotImplementedError, match="must be 'nms', got 'soft_nms'"):
        build(test=soft).simple_test_rpn(x, [meta(32, 32)])


@pytest.mark.parametrize('kind', ['GARetinaHead', 'GuidedAnchorHead'])
def test_detections_are_rescaled_and_limited(build, meta, kind):
    head, x = build(kind, dict(nms_pre=3)).eval(), [torch.randn(1, 4, 4, 4)]
    image = meta(32, 32, scale_factor=[2.0, 2.0, 2.0, 2.0])
    dets, labels = head.simple_test_bboxes(x, [image])[0]
    halved, _ = head.simple_test_bboxes(x, [image], rescale=True)[0]
    assert 0 < len(dets) <= 9
    assert labels.max() < 3
    torch.testing.assert_close(halved[:, :4] * 2, dets[:, :4])


@pytest.mark.parametrize('kind', ['GARPNHead', 'GARetinaHead'])
def test_every_loss_is_linear_in_the_weight_of_each_image(build, meta, kind):
    head, x = build(f'{kind}WithWeightPerImage'), torch.randn(2, 4, 4, 4)

    def of(*weights):
        losses = losses_of(head, x, GTS, [meta(32, 32, **{'rpn_head.loss_weight': w}) for w in weights])
        assert len(losses) == 4
        return torch.stack([sum(losses[name]) for name in sorted(losses)])

    torch.testing.assert_close(of(3, 0.5), 3 * of(1, 0) + 0.5 * of(0, 1))
    assert not of(0, 0).any() and (of(1, 1) > 0).all()


def test_places_without_an_object_are_no_negatives_where_the_image_ignores_them(build, meta):
    head = build('GARPNHeadWithWeightPerImage')
    (targets,), (weights,), _ = head.ga_loc_targets(GTS, [(4, 4)], [meta(32, 32, ignore_negatives=1), meta(32, 32)])
    assert not weights[0][targets[0] == 0].any() and weights[0][targets[0] == 1].all()
    assert weights[1][targets[1] == 0].any()


def test_ignored_regions_keep_squares_out(build, meta):
    strict = dict(type='ApproxMaxIoUAssigner', **MAX_IOU | dict(ignore_iof_thr=0.5))
    head = build(train_cfg=TRAIN | dict(ga_assigner=strict))
    squares = head.prior_generator.grid_priors([(4, 4)], device='cpu')
    approxs, inside = head.get_sampled_approxs([(4, 4)], [meta(32, 32)], 'cpu')
    for ignored, counts in ((None, (3, 11)), ([torch.tensor([[-99.0, -99, 99, 99]])], (1, 1))):
        *_, num_pos, num_neg = head.ga_shape_targets(approxs, inside, [squares], GTS[:1], [meta(32, 32)], ignored)
        assert (num_pos, num_neg) == counts


def test_ranks_count_the_rows_of_the_same_group_before_each():
    groups = torch.tensor([1, 0, 1, 1, 0])
    assert ranks_in_groups(groups, 3).tolist() == [0, 0, 1, 2, 1]
    assert ranks_in_groups(groups[:0], 3).tolist() == []
