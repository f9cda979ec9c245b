"""Convex polygons: by hand, against OpenCV's one-by-one functions, and by gradcheck."""

import cv2
import numpy as np
import pytest
import torch
from matplotlib.path import Path as Outline
from torch.autograd import gradcheck

from mmdet.ops.polygon import (
    convex_giou,
    convex_hull,
    convex_iou,
    intersection_area,
    min_area_polygons,
    pairwise_overlaps,
    points_in_polygons,
    signed_area,
)

SQUARE = torch.tensor([[0.0, 0, 4, 0, 4, 4, 0, 4]])
TURNED = torch.tensor([[2.0, -1, 5, 2, 2, 5, -1, 2]])  # a square on its corner, diagonal 6, in the middle of SQUARE


def point_sets(n: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 9, 2, generator=torch.Generator().manual_seed(seed)) * 10 + 100


def quads(n: int = 12) -> torch.Tensor:
    boxes = [cv2.boxPoints(((100.0 + i, 100.0 - i), (20.0, 8.0 + i), 13.0 * i)) for i in range(n)]
    return torch.from_numpy(np.stack(boxes)).flatten(1)


def test_hull_leaves_out_inner_points_and_repeats_a_corner():
    points = torch.tensor([[[0.0, 0], [2, 1], [4, 0], [2, 2], [4, 4], [1, 2], [0, 4]]])
    hull = convex_hull(points)
    assert {tuple(corner) for corner in hull[0].tolist()} == {(0, 0), (4, 0), (4, 4), (0, 4)}
    assert signed_area(hull).tolist() == [16]


def test_hulls_have_the_areas_of_opencv(monkeypatch):
    monkeypatch.setattr('mmdet.ops.polygon.SETS_AT_ONCE', 16)
    points = point_sets()
    expected = [cv2.contourArea(cv2.convexHull(p.numpy())) for p in points]
    torch.testing.assert_close(signed_area(convex_hull(points)), torch.tensor(expected), rtol=1e-4, atol=1e-3)


def test_intersection_by_hand():
    # the turned square has area 18; each of its corners sticks out of the other by a triangle of base 2 and height 1
    square, turned = SQUARE.unflatten(1, (4, 2)), TURNED.unflatten(1, (4, 2))
    assert intersection_area(square, turned).tolist() == [14]
    assert intersection_area(turned.flip(1), square).tolist() == [14]  # corners in the other order
    torch.testing.assert_close(pairwise_overlaps(square, turned), torch.tensor([[14 / 20]]))
    torch.testing.assert_close(pairwise_overlaps(square, turned, 'iof'), torch.tensor([[14 / 16]]))


@pytest.mark.parametrize(('shift', 'area'), [((4, 0), 0), ((9, 9), 0), ((0, 0), 16), ((1, 0), 12), ((2, 3), 2)])
def test_squares_with_edges_on_each_other(shift, area):
    square = SQUARE.unflatten(1, (4, 2))
    assert intersection_area(square, square + torch.tensor(shift)).item() == pytest.approx(area, abs=1e-6)


def test_polygon_of_no_area_overlaps_nothing():
    square = SQUARE.unflatten(1, (4, 2))
    for flat in (torch.full_like(square, 2.0), square * torch.tensor([1.0, 0.0])):
        assert intersection_area(square, flat).item() == intersection_area(flat, square).item() == 0
        assert pairwise_overlaps(square, flat).item() == 0


def test_convex_iou_is_that_of_opencv():
    points, polygons = point_sets(), quads()

    def one(p, q):
        hull = cv2.convexHull(p.numpy())
        common, _ = cv2.intersectConvexConvex(hull, q.view(4, 2).numpy())
        return common / (cv2.contourArea(hull) + cv2.contourArea(q.view(4, 2).numpy()) - common)

    expected = torch.tensor([[one(p, q) for q in polygons] for p in points])
    assert expected.max() > 0.3
    torch.testing.assert_close(convex_iou(points.flatten(1), polygons), expected, rtol=1e-3, atol=1e-4)


def test_generalised_iou_by_hand_and_its_gradient():
    # nine points whose hull is the unit square, and a unit square two further on: around both 3, union 2
    unit = torch.tensor([[0.0, 0, 1, 0, 1, 1, 0, 1]])
    points = torch.cat([unit, unit.new_full((1, 10), 0.5)], 1)
    giou, gradient = convex_giou(points, unit + torch.tensor([2.0, 0] * 4))
    assert giou.item() == pytest.approx(-1 / 3) and gradient.shape == (1, 18)
    assert gradient[0, [2, 4]].sum() > 0 and not gradient[0, 8:].any()  # its right side draws near; inner points rest

    def numeric(moved):
        return convex_giou(moved[None], quads()[:1].double())[0].item()

    start = point_sets(1).flatten().double()
    _, exact = convex_giou(start[None], quads()[:1].double())
    for i in range(18):
        step = torch.zeros(18, dtype=torch.double)
        step[i] = 1e-6
        assert exact[0, i].item() == pytest.approx((numeric(start + step) - numeric(start - step)) / 2e-6, abs=1e-5)


def test_smallest_rectangle_by_hand_and_that_of_opencv():
    points = torch.cat([TURNED, torch.full((1, 10), 2.0)], 1)
    corners = min_area_polygons(points).view(4, 2)
    assert {tuple(c) for c in corners.round(decimals=4).tolist()} == {(2, -1), (5, 2), (2, 5), (-1, 2)}
    points = point_sets()
    rectangles = min_area_polygons(points.flatten(1)).unflatten(1, (4, 2))
    expected = torch.tensor([np.prod(cv2.minAreaRect(p.numpy())[1]) for p in points])
    torch.testing.assert_close(signed_area(rectangles).abs(), expected.float(), rtol=1e-3, atol=1e-2)
    sides = rectangles.roll(-1, 1) - rectangles
    assert (sides[:, 0] * sides[:, 1]).sum(-1).abs().max() < 1e-2  # right angles
    for rectangle, inside in zip(rectangles, points.tolist()):
        assert min(cv2.pointPolygonTest(rectangle.numpy(), tuple(p), True) for p in inside) > -1e-3


def test_points_in_polygons_are_those_of_matplotlib_whatever_the_shape():
    rng = torch.Generator().manual_seed(0)
    points, polygons = torch.rand(300, 2, generator=rng) * 10, torch.rand(20, 8, generator=rng) * 10
    expected = np.stack([Outline(q.view(4, 2).numpy()).contains_points(points.numpy()) for q in polygons], 1)
    assert torch.equal(points_in_polygons(points, polygons), torch.from_numpy(expected).float())
    assert points_in_polygons(points[:0], polygons).shape == (0, 20)
    assert points_in_polygons(torch.tensor([[2.0, 2], [4.5, 0]]), torch.cat([SQUARE, TURNED])).tolist() == [
        [1, 1],
        [0, 0],
    ]


def test_gradient_of_the_intersection():
    first, second = (p.unflatten(1, (4, 2)).double() for p in (SQUARE, TURNED + 0.3))
    assert gradcheck(intersection_area, (first.requires_grad_(), second.requires_grad_()))


def test_nothing_gives_nothing():
    assert convex_iou(torch.zeros(0, 18), SQUARE).shape == (0, 1)
    assert convex_iou(torch.zeros(2, 18), SQUARE[:0]).shape == (2, 0)
    assert min_area_polygons(torch.zeros(0, 18)).shape == (0, 8)
    giou, gradient = convex_giou(torch.zeros(0, 18), SQUARE[:0])
    assert giou.shape == (0,) and gradient.shape == (0, 18)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r'points_in_polygons: expected polygons \(n, 8\), got \(1, 6\)'):
        points_in_polygons(torch.zeros(1, 2), torch.zeros(1, 6))
    with pytest.raises(ValueError, match=r'min_area_polygons: expected \(n, 2 \* points\)'):
        min_area_polygons(torch.zeros(9))
