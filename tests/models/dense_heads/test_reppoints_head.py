import copy
import math

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.points.reppoints import grid_of_bbox, points_to_bbox
from mmdet.models.dense_heads.functional.points.star_points import kernel_points

META = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), scale_factor=[1.0] * 4, flip=False, flip_direction=None)


def build(**kwargs):
    torch.manual_seed(0)
    return HEADS.build(copy.deepcopy(dict(CASES['RepPointsHead'], type='RepPointsHead') | kwargs))


def test_points_of_the_kernel():
    assert kernel_points(3).flatten().tolist() == [-1, -1, -1, 0, -1, 1, 0, -1, 0, 0, 0, 1, 1, -1, 1, 0, 1, 1]


def test_boxes_of_points_by_hand():
    points = torch.tensor([[0.0, 1, 4, 3, 2, 2, 2, 2, 2, 9]])  # y, x
    assert points_to_bbox(points, True, 'minmax').tolist() == [[1, 0, 9, 4]]
    assert points_to_bbox(points, True, 'partial_minmax').tolist() == [[1, 0, 3, 4]]
    points = torch.tensor([[4.0, 0, 4, 2]])
    box = points_to_bbox(points, True, 'moment', torch.tensor([math.log(2), 0.0]))
    torch.testing.assert_close(box, torch.tensor([[1 - 2 * 2**0.5, 4, 1 + 2 * 2**0.5, 4]]))


@pytest.mark.parametrize('method', ['minmax', 'partial_minmax', 'moment'])
def test_maps_and_rows_of_points_give_the_same_boxes(method):
    head = build(transform_method=method)
    pts = torch.randn(2, 18, 3, 4)
    boxes = head.points2bbox(pts)
    assert boxes.shape == (2, 4, 3, 4)
    rows = pts.permute(0, 2, 3, 1).reshape(-1, 9, 2).flip(2).flatten(1)
    torch.testing.assert_close(head.points2bbox(rows, y_first=False).view(2, 3, 4, 4), boxes.permute(0, 2, 3, 1))


def test_only_a_part_of_the_gradient_reaches_the_factors_of_the_deviations():
    head = build()
    head.points2bbox(torch.randn(1, 18, 1, 1)).sum().backward()
    small = head.moment_transfer.grad.clone()
    head.moment_mul = 1.0
    head.moment_transfer.grad = None
    torch.manual_seed(5)
    pts = torch.randn(1, 18, 1, 1)
    head.points2bbox(pts)[:, 2:].sum().backward()
    whole = head.moment_transfer.grad.clone()
    head.moment_mul, head.moment_transfer.grad = 0.01, None
    head.points2bbox(pts)[:, 2:].sum().backward()
    torch.testing.assert_close(head.moment_transfer.grad, whole * 0.01)
    assert small.abs().max() < 1e-6  # both sides move by as much in opposite directions


def test_grid_over_a_refined_box_by_hand():
    reg = torch.tensor([0.5, 0.0, math.log(2), 0.0]).view(1, 4, 1, 1)
    points, box = grid_of_bbox(reg, torch.tensor([-2.0, -2, 2, 2]).view(1, 4, 1, 1), 3)
    # 8 by 4 around (2, 0)
    torch.testing.assert_close(box.flatten(), torch.tensor([-2.0, -2, 6, 2]))
    wanted = [[y, x] for y in (-2.0, 0, 2) for x in (-2.0, 2, 6)]
    torch.testing.assert_close(points.view(9, 2), torch.tensor(wanted))


def test_points_in_pixels_x_before_y():
    head = build()
    centres, _ = head.get_points([(1, 2), (1, 1)], [META], 'cpu')
    maps = [torch.zeros(1, 18, 1, 2), torch.zeros(1, 18, 1, 1)]
    maps[0][0, 0, 0, 1], maps[0][0, 1, 0, 1] = 1.0, 2.0  # the first point of the second place: y 1, x 2 strides
    first, second = head.offset_to_pts(centres, maps)
    assert first[0, 1].tolist() == [8 + 16, 8] + [8, 0] * 8
    assert second.shape == (1, 1, 18)
    assert head.centers_to_bboxes(centres)[0][1].tolist() == [[-8, -8, 8, 8]]


def test_targets_of_both_stages_by_hand():
    head = build()
    centres, flags = head.get_points([(2, 2), (1, 1)], [META], 'cpu')
    gts, labels = [torch.tensor([[5.0, -3, 13, 5]])], [torch.tensor([1])]
    of_labels, _, boxes, proposals, weights, num_pos, _ = head.get_targets(centres, flags, gts, [META], None, labels)
    assert of_labels[0].tolist() == [[3, 1, 3, 3]] and of_labels[1].tolist() == [[3]]  # the place (8, 0)
    assert boxes[0][0, 1].tolist() == gts[0][0].tolist() and weights[0][0].sum() == 4
    assert proposals[0][0, 1].tolist() == [8, 0, 8, 8] and num_pos == 1
    refined = head.centers_to_bboxes(centres)
    of_labels, weights, *_ = head.get_targets(refined, flags, gts, [META], None, labels, stage='refine')
    assert of_labels[0].tolist() == [[3, 1, 3, 3]] and weights[0].tolist() == [[1, 1, 1, 1]]
    with pytest.raises(ValueError, match="stage: expected 'init' or 'refine', got 'first'"):
        head.get_targets(centres, flags, gts, [META], None, labels, stage='first')


@pytest.mark.parametrize('options', [
    dict(transform_method='minmax', use_grid_points=True),
    dict(transform_method='minmax', center_init=False),
    dict(transform_method='partial_minmax'),
    dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True)),
])  # fmt: skip
def test_every_kind_trains_all_its_parameters_and_detects(options):
    head = build(**options).train()
    train = copy.deepcopy(CASES['RepPointsHead']['train_cfg'])
    if options.get('use_grid_points'):
        train['init']['assigner'] = train['refine']['assigner']
        head = build(**options, train_cfg=train).train()
    feats = [torch.randn(1, 4, 4, 4), torch.randn(1, 4, 2, 2)]
    losses = head.forward_train(feats, [META], [torch.tensor([[4.0, 4, 20, 18]])], [torch.tensor([1])])
    sum(sum(value) for value in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    with torch.no_grad():
        ((dets, labels),) = head.eval().simple_test(feats, [META])
        ((merged, _),) = head.aug_test([feats], [[META]], rescale=True)
    assert len(dets) == len(labels) > 0
    torch.testing.assert_close(merged, dets)
    assert dets[:, :4].min() >= 0 and dets[:, :4].max() <= 32


def test_boxes_start_around_their_cells_where_they_are_on_a_grid():
    head = build(transform_method='minmax', use_grid_points=True, point_base_scale=4)
    for layer in (head.reppoints_pts_init_out, head.reppoints_pts_refine_out):
        for p in layer.parameters():
            p.data.zero_()
    with torch.no_grad():
        _, boxes = head.eval().forward_single(torch.randn(1, 4, 2, 2))
    assert boxes[0, :, 0, 0].tolist() == [-2, -2, 2, 2]


def test_decoded_boxes_are_clipped():
    places, shifts = torch.tensor([[8.0, 8]]), torch.tensor([[-2.0, -0.5, 1, 4]])
    assert build()._bbox_decode(places, shifts, 8, (32, 30)).tolist() == [[0, 4, 16, 32]]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match='square of an odd number, got 16'):
        build(num_points=16)
    with pytest.raises(ValueError, match="minmax, partial_minmax, moment, got 'moments'.*moment"):
        build(transform_method='moments')
