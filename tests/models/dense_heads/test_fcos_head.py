import math

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_free_head import inside_objects
from mmdet.models.dense_heads.fcos_head import FCOSHead, centerness_of, shrink_to_centres, smallest_object

NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
GTS, LABELS = [torch.tensor([[2.0, 3, 14, 15], [1, 17, 30, 31]])], [torch.tensor([1, 2])]


@pytest.fixture
def build():
    def make(**kwargs):
        torch.manual_seed(0)
        test = dict(nms_pre=100, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
        cfg = dict(
            type='FCOSHead', num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1, strides=(8, 16),
            regress_ranges=((-1, 16), (16, 1e8)), norm_cfg=dict(type='GN', num_groups=2), test_cfg=test,
        )  # fmt: skip
        return HEADS.build(cfg | kwargs)

    return make


def points_of(head, sizes=((4, 4), (2, 2))):
    return head.prior_generator.grid_priors(sizes, device='cpu')


def feats(num=1):
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]


def test_targets_by_hand(build):
    labels, distances = build().get_targets(points_of(build()), GTS, LABELS)
    # the points of the first level are 4, 12, 20, 28; the second object is too wide for those near its ends
    assert labels[0].view(4, 4).tolist() == [[1, 1, 3, 3], [1, 1, 3, 3], [3] * 4, [3] * 4]
    assert distances[0][0].tolist() == [2, 1, 10, 11]
    assert labels[1].tolist() == [3, 3, 2, 2]
    assert distances[1][2].tolist() == [7, 7, 22, 7]


def test_targets_of_a_point_in_two_objects_are_those_of_the_smaller():
    gts = torch.tensor([[0.0, 0, 40, 40], [5, 5, 25, 25]])
    points = torch.tensor([[10.0, 10], [30, 30], [50, 50]])
    chosen, found, distances = smallest_object(points, gts, torch.tensor([[-1.0, 99]]).expand(3, 2), None)
    assert chosen[:2].tolist() == [1, 0]
    assert found.tolist() == [True, True, False]
    assert distances[:2].tolist() == [[5, 5, 15, 15], [30, 30, 10, 10]]


def test_centre_sampling_keeps_points_near_the_centre():
    gts, points = torch.tensor([[0.0, 0, 40, 20]]), torch.tensor([[18.0, 8], [12, 10], [21, 14]])
    ranges, radius = torch.tensor([[-1.0, 99]]).expand(3, 2), torch.full((3,), 5.0)
    assert smallest_object(points, gts, ranges, radius)[1].tolist() == [True, False, True]
    assert shrink_to_centres(gts, torch.tensor([15.0]))[0, 0].tolist() == [5, 0, 35, 20]


def test_centre_sampling_radius_is_in_strides(build):
    gts, labels = [torch.tensor([[0.0, 0, 32, 32]])], [torch.tensor([0])]
    ranges = dict(regress_ranges=((-1, 99), (99, 1e8)))
    for radius, count in ((0.6, 4), (1.6, 16)):
        head = build(center_sampling=True, center_sample_radius=radius, **ranges)
        assert (head.get_targets(points_of(head), gts, labels)[0][0] == 0).sum() == count


def test_targets_on_normalised_boxes_are_in_strides(build):
    head = build(norm_on_bbox=True)
    _, distances = head.get_targets(points_of(head), GTS, LABELS)
    assert distances[0][0].tolist() == [2 / 8, 1 / 8, 10 / 8, 11 / 8]


def test_targets_of_a_batch_are_grouped_by_level(build):
    head = build()
    gts, labels = [GTS[0], NOTHING], [LABELS[0], NO_LABELS]
    batch_labels, batch_distances = head.get_targets(points_of(head), gts, labels)
    single, distances = head.get_targets(points_of(head), GTS, LABELS)
    for level in range(2):
        assert batch_labels[level].view(2, -1)[0].equal(single[level])
        assert batch_distances[level].view(2, -1, 4)[0].equal(distances[level])
        assert (batch_labels[level].view(2, -1)[1] == 3).all()


def test_other_number_of_ranges_says_so(build):
    with pytest.raises(ValueError, match='2 levels, but 1 regress_ranges'):
        build(regress_ranges=((-1, 16),)).get_targets(points_of(build()), GTS, LABELS)


def test_centerness_by_hand():
    distances = torch.tensor([[3.0, 5, 3, 5], [1, 2, 4, 2], [0, 2, 4, 2]])
    torch.testing.assert_close(centerness_of(distances), torch.tensor([1.0, 0.5, 0.0]))
    assert centerness_of(distances[:0]).shape == (0,)


def test_loss_by_hand(build):
    """One object with one point in its middle: sigmoid losses of known logits, and IoU 1 / 4."""
    head = build(strides=(8,), regress_ranges=((-1, 1e8),), loss_bbox=dict(type='IoULoss', mode='linear'))
    gts, labels = [torch.tensor([[0.0, 0, 8, 8]])], [torch.tensor([0])]
    maps = [torch.zeros(1, 3, 1, 1)], [torch.full((1, 4, 1, 1), 2.0)], [torch.zeros(1, 1, 1, 1)]
    losses = head.loss(*maps, gts, labels, [{}])
    assert losses['loss_bbox'].item() == pytest.approx(1 - 1 / 4)
    assert losses['loss_centerness'].item() == pytest.approx(math.log(2))
    assert losses['loss_cls'].item() == pytest.approx(math.log(2) / 4 * (0.25 + 2 * 0.75))


def test_loss_weighs_boxes_by_centreness(build):
    head = build(strides=(8,), regress_ranges=((-1, 1e8),), loss_bbox=dict(type='IoULoss', mode='linear'))
    gts, labels = [torch.tensor([[0.0, 0, 16, 8]])], [torch.tensor([0])]  # points at x = 4 and 12: centreness equal
    boxes = torch.tensor([[4.0, 4, 12, 4], [4, 4, 4, 4]]).T.reshape(1, 4, 1, 2)  # the first right, the second half
    losses = head.loss([torch.zeros(1, 3, 1, 2)], [boxes], [torch.zeros(1, 1, 1, 2)], gts, labels, [{}])
    assert losses['loss_bbox'].item() == pytest.approx(0.25)


def test_loss_without_objects_is_zero_but_for_classes_and_attached(build):
    head = build()
    losses = head.loss(*head(feats(2)), [NOTHING] * 2, [NO_LABELS] * 2, [{}] * 2)
    assert losses['loss_bbox'] == losses['loss_centerness'] == 0
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize('norm_on_bbox', [False, True])
def test_boxes_by_hand(build, meta, norm_on_bbox):
    head = build(norm_on_bbox=norm_on_bbox, strides=(8,), regress_ranges=((-1, 1e8),))
    scores, factors = torch.full((1, 3, 2, 2), -20.0), torch.zeros(1, 1, 2, 2)
    scores[0, 1, 0, 1] = 20
    dets, labels = head.get_bboxes([scores], [torch.full((1, 4, 2, 2), 3.0)], [factors], img_metas=[meta(16, 14)])[0]
    assert labels.tolist() == [1]
    torch.testing.assert_close(dets, torch.tensor([[9.0, 1, 14, 7, 0.5]]))


def test_normalised_boxes_are_in_strides_in_training_and_in_pixels_in_evaluation(build):
    head, x = build(norm_on_bbox=True), feats()
    for trained, tested, stride in zip(head(x)[1], head.eval()(x)[1], (8, 16)):
        assert (trained >= 0).all()
        torch.testing.assert_close(tested, trained * stride)


@pytest.mark.parametrize('on_reg, towers', [(True, 'reg_convs'), (False, 'cls_convs')])
def test_centreness_comes_from_the_chosen_tower(build, on_reg, towers):
    head = build(centerness_on_reg=on_reg)
    sum(level.sum() for level in head(feats())[2]).backward()
    assert {n.split('.')[0] for n, p in head.named_parameters() if p.grad is not None} == {towers, 'conv_centerness'}


def test_keys_of_old_checkpoints_are_renamed(build):
    head = build()
    names = dict(conv_cls='fcos_cls', conv_reg='fcos_reg', conv_centerness='fcos_centerness')
    old = {}
    for key, value in head.state_dict().items():
        layer, _, rest = key.partition('.')
        old[f'{names.get(layer, layer)}.{rest}'] = value + 1
    build().load_state_dict(old)
    other = build()
    other.load_state_dict(old)
    torch.testing.assert_close(other.conv_centerness.bias, head.conv_centerness.bias + 1)


def test_last_convolution_may_be_deformable(build):
    head = build(stacked_convs=2, dcn_on_last_conv=True)
    kinds = [type(layer.conv).__name__ for layer in head.cls_convs]
    assert kinds == ['Conv2d', 'ModulatedDeformConv2dPack']


def test_old_ways_to_the_points_warn(build):
    head = build()
    with pytest.warns(DeprecationWarning):
        old = head.get_points([(4, 4), (2, 2)], torch.float32, 'cpu')
    for points, new in zip(old, points_of(head)):
        torch.testing.assert_close(points, new)


def test_unknown_bias_is_refused(build):
    with pytest.raises(ValueError, match="expected 'auto', True or False, got 'no'"):
        build(conv_bias='no')


def test_boxes_are_merged_over_augmented_versions(build, meta):
    image = meta(32, 32, scale_factor=[1.0] * 4, flip_direction='horizontal')
    head, x = build().eval(), feats()
    dets, labels = head.aug_test([x, x], [[image], [image]], rescale=True)[0]
    alone, _ = head.get_bboxes(*head(x), img_metas=[image])[0]
    torch.testing.assert_close(dets, alone)
    assert len(labels) == len(dets) > 0


def test_general_head_cannot_be_built_alone():
    with pytest.raises(TypeError, match='abstract'):
        HEADS.build(dict(type='AnchorFreeHead', num_classes=1, in_channels=4))
    assert issubclass(FCOSHead, HEADS.get('AnchorFreeHead'))


def test_point_on_an_edge_is_not_inside():
    points = torch.tensor([[2.0, 5.0], [2.01, 5.0], [9.0, 9.0], [8.9, 8.9], [20.0, 5.0]])
    box = torch.tensor([[2.0, 2.0, 9.0, 9.0]])
    assert inside_objects(points, box).tolist() == [0, 1, 0, 1, 0]
    assert inside_objects(points, box[:0]).tolist() == [0] * 5
