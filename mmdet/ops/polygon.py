"""Convex polygons, many at once: hulls, areas, intersections, and points inside.

A polygon is (..., V, 2), x before y, corner after corner; a corner may be repeated, so polygons of fewer corners fit.
Image coordinates: y points down, so a positive area means clockwise to the eye.
"""

import torch
from torch import Tensor

PAIRS_AT_ONCE = 20_000  # pairs of quadrilaterals whose edges are cut at once: about 200 MB
SETS_AT_ONCE = 4096  # point sets whose hulls are found at once: about 100 MB for 13 points each
EDGE_TOLERANCE = 1e-9  # of the size of a pair: edges that lie on each other this closely are the same edge


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product (...,) of vectors (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def edges(polygons: Tensor) -> Tensor:
    """Vectors (..., V, 2) from each corner to the next."""
    return polygons.roll(-1, -2) - polygons


def signed_area(polygons: Tensor) -> Tensor:
    """(..., V, 2) -> (...,), negative where the corners run the other way."""
    local = polygons - polygons[..., :1, :]  # differences: no digits are lost far from the origin
    return cross(local, edges(local)).sum(-1) / 2


def oriented(polygons: Tensor) -> Tensor:
    """The same polygons with corners in the order that makes areas positive."""
    return torch.where(signed_area(polygons)[..., None, None] < 0, polygons.flip(-2), polygons)


def convex_hull(points: Tensor) -> Tensor:
    """Convex hulls of point sets, as polygons of positive area.

    Args:
        points: (N, P, 2).

    Returns:
        (N, P, 2); where fewer points are corners, the last one is repeated.
    """
    return torch.cat([_hulls(part) for part in points.split(SETS_AT_ONCE)])


def _hulls(points: Tensor) -> Tensor:
    span = points[:, None] - points[:, :, None]  # (N, P, P, 2): from i to j
    turns = cross(span[:, :, :, None], span[:, :, None])  # (N, i, j, k): which side of the line from i to j k lies on
    scale = span.abs().amax((1, 2, 3)).clamp(min=torch.finfo(points.dtype).tiny) ** 2
    tolerance = 8 * torch.finfo(points.dtype).eps * scale[:, None, None, None]
    to_next = (turns >= -tolerance).all(-1) & (span.abs().amax(-1) > 0)
    corner = to_next.any(-1)
    count = corner.sum(-1, keepdim=True)
    centre = (points * corner[..., None]).sum(1) / count.clamp(min=1)
    from_centre = (points - centre[:, None]).detach()
    angle = torch.atan2(from_centre[..., 1], from_centre[..., 0])
    order = angle.masked_fill(~corner, torch.inf).argsort(-1)
    place = torch.arange(points.size(1), device=points.device).minimum(count.clamp(min=1) - 1)
    return points.gather(1, order.gather(1, place)[..., None].expand_as(points))


def _parts_inside(polygons: Tensor, others: Tensor, margin: Tensor) -> Tensor:
    """What fraction of each edge lies inside another convex polygon.

    Args:
        polygons: (N, V, 2).
        others: (N, W, 2) of positive area.
        margin: (N,) px by which the others are grown.

    Returns:
        (N, V).
    """
    direction, side = edges(polygons), edges(others)
    length = side.norm(dim=-1)  # (N, W)
    is_side = length > 0
    normal = torch.stack([-side[..., 1], side[..., 0]], -1) / torch.where(is_side, length, 1.0)[..., None]
    start = polygons[:, :, None] - others[:, None]  # (N, V, W, 2)
    depth = (normal[:, None] * start).sum(-1) + margin[:, None, None]  # of the first corner, inside of each side
    speed = (normal[:, None] * direction[:, :, None]).sum(-1)
    crossing = -depth / torch.where(speed == 0, 1.0, speed)
    outside = ((speed == 0) & (depth < 0)).to(depth)  # beside the polygon all along
    ones = torch.ones_like(depth)
    # corners that are repeated have sides of no length, which cut nothing off
    enter = torch.where(speed > 0, crossing, outside).where(is_side[:, None], 0 * ones)
    leave = torch.where(speed < 0, crossing, ones).where(is_side[:, None], ones)
    return (leave.amin(-1).clamp(max=1) - enter.amax(-1).clamp(min=0)).clamp(min=0)


def intersection_area(polygons: Tensor, others: Tensor) -> Tensor:
    """Areas of the intersections of pairs of convex polygons; differentiable.

    The border of an intersection consists of the parts of either border inside of the other polygon, and the area is
    an integral along it (Green). Where two edges lie on each other, the one of ``polygons`` counts.

    Args:
        polygons: (N, V, 2).
        others: (N, W, 2).

    Returns:
        (N,), in the dtype of ``polygons``; computed in float64.
    """
    centre = others.detach().double().mean(1, keepdim=True)
    first, second = (oriented(p.double() - centre) for p in (polygons, others))
    areas = torch.minimum(signed_area(first), signed_area(second))
    margin = EDGE_TOLERANCE * torch.cat([first, second], 1).detach().abs().amax((1, 2))
    total = 0
    for one, other, grown in ((first, second, margin), (second, first, -margin)):
        total = total + (_parts_inside(one, other, grown) * cross(one, edges(one))).sum(-1)
    return torch.minimum((total / 2).clamp(min=0), areas).to(polygons.dtype)


def bounds(polygons: Tensor) -> Tensor:
    """(N, V, 2) -> xyxy (N, 4)."""
    return torch.cat([polygons.amin(1), polygons.amax(1)], -1)


def bounds_meet(boxes: Tensor, others: Tensor) -> Tensor:
    """Whether xyxy boxes (N, 4) and (M, 4) have an area in common, (N, M)."""
    return (
        (boxes[:, None, 0] < others[:, 2])
        & (others[:, 0] < boxes[:, None, 2])
        & (boxes[:, None, 1] < others[:, 3])
        & (others[:, 1] < boxes[:, None, 3])
    )


def overlaps_of_pairs(polygons: Tensor, others: Tensor, mode: str = 'iou') -> Tensor:
    """IoU of pairs of convex polygons (N, V, 2) and (N, W, 2), or ``'iof'``: over the area of the first; (N,).

    A polygon of no area overlaps nothing.
    """
    overlaps = []
    for first, second in zip(polygons.split(PAIRS_AT_ONCE), others.split(PAIRS_AT_ONCE)):
        common = intersection_area(first.double(), second.double())
        area, other_area = signed_area(first.double()).abs(), signed_area(second.double()).abs()
        whole = area if mode == 'iof' else area + other_area - common
        has_area = (area > 0) & (other_area > 0)
        overlaps.append((common / torch.where(has_area, whole, 1.0) * has_area).to(polygons.dtype))
    return torch.cat(overlaps) if overlaps else polygons.new_zeros(0)


def pairwise_overlaps(polygons: Tensor, others: Tensor, mode: str = 'iou') -> Tensor:
    """:func:`overlaps_of_pairs` of each of N with each of M polygons, (N, M); only pairs whose bounds meet are cut."""
    rows, columns = bounds_meet(bounds(polygons), bounds(others)).nonzero(as_tuple=True)
    values = overlaps_of_pairs(polygons[rows], others[columns], mode)
    return polygons.new_zeros(len(polygons), len(others)).index_put((rows, columns), values)


def points_in_polygons(points: Tensor, polygons: Tensor) -> Tensor:
    """Which points lie inside which quadrilaterals, of any shape; on an edge it may be either.

    Args:
        points: (B, 2).
        polygons: (M, 8), x1, y1, ..., x4, y4.

    Returns:
        (B, M) float32, 1 inside and 0 outside.

    Raises:
        ValueError: other shapes.
    """
    for name, tensor, width in (('points', points, 2), ('polygons', polygons, 8)):
        if tensor.ndim != 2 or tensor.size(1) != width:
            raise ValueError(f'points_in_polygons: expected {name} (n, {width}), got {tuple(tensor.shape)}')
    corners = polygons.unflatten(1, (4, 2))  # (M, 4, 2)
    step = edges(corners)
    above = corners[None, :, :, 1] > points[:, None, None, 1]  # (B, M, 4)
    below_next = corners.roll(-1, 1)[None, :, :, 1] <= points[:, None, None, 1]
    straddles = above == below_next  # one end above the point, the other not
    height = torch.where(step[..., 1] == 0, 1.0, step[..., 1])
    at = corners[..., 0] + (points[:, None, None, 1] - corners[..., 1]) * step[..., 0] / height
    crossings = (straddles & (at > points[:, None, None, 0])).sum(-1)
    return (crossings % 2).float()


def _point_sets(pointsets: Tensor, name: str) -> Tensor:
    if pointsets.ndim != 2 or pointsets.size(1) % 2 or pointsets.size(1) < 6:
        raise ValueError(f'{name}: expected (n, 2 * points), such as (n, 18), got {tuple(pointsets.shape)}')
    return pointsets.unflatten(1, (-1, 2))


def convex_iou(pointsets: Tensor, polygons: Tensor) -> Tensor:
    """IoU of the convex hulls of point sets with convex quadrilaterals.

    Args:
        pointsets: (N, 18), x1, y1, ..., x9, y9.
        polygons: (K, 8).

    Returns:
        (N, K).

    Raises:
        ValueError: other shapes.
    """
    hulls = convex_hull(_point_sets(pointsets, 'convex_iou'))
    return pairwise_overlaps(hulls, _point_sets(polygons, 'convex_iou'))


def convex_giou(pointsets: Tensor, polygons: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised IoU of the convex hulls of point sets with a quadrilateral each, and its gradient.

    Args:
        pointsets: (N, 18).
        polygons: (N, 8).

    Returns:
        (N,) and the derivative of each by its point set, (N, 18).

    Raises:
        ValueError: other shapes.
    """
    with torch.enable_grad():
        inputs = pointsets.detach().double().requires_grad_()
        points, corners = (_point_sets(p, 'convex_giou') for p in (inputs, polygons.detach().double()))
        hulls = convex_hull(points)
        common = intersection_area(hulls, corners)
        union = signed_area(hulls) + signed_area(corners).abs() - common
        around = signed_area(convex_hull(torch.cat([points, corners], 1)))
        giou = common / union.clamp(min=1e-12) - (around - union) / around.clamp(min=1e-12)
        (gradient,) = torch.autograd.grad(giou.sum(), inputs)
    return giou.detach().to(pointsets), gradient.to(pointsets)


def min_area_polygons(pointsets: Tensor) -> Tensor:
    """The smallest rectangle, of any angle, around each point set; one of its sides lies on a side of the hull.

    Args:
        pointsets: (N, 18), x1, y1, ..., x9, y9.

    Returns:
        (N, 8): its corners, in the order (far, near), (near, near), (near, far), (far, far) along the direction of
        that side and the one across.

    Raises:
        ValueError: another shape.
    """
    points = _point_sets(pointsets, 'min_area_polygons').double()
    side = edges(convex_hull(points))
    angle = torch.atan2(side[..., 1], side[..., 0]) % (torch.pi / 2)  # (N, P)
    axes = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], -1).unflatten(-1, (2, 2))
    along = torch.einsum('npad,nqd->npaq', axes, points)  # of each point, along both axes of each candidate
    near, far = along.amin(-1), along.amax(-1)  # (N, P, 2)
    best = (far - near).prod(-1).argmin(-1)
    rows = torch.arange(len(best), device=best.device)
    axes, near, far = axes[rows, best], near[rows, best], far[rows, best]
    along_axes = torch.stack(
        [torch.stack([u[:, 0], v[:, 1]], -1) for u, v in ((far, near), (near, near), (near, far), (far, far))], 1
    )
    return (along_axes @ axes).flatten(1).to(pointsets)
