import torch

from mmdet.models.dense_heads.functional.points.star_points import star_offsets


def test_star_points_are_corners_middles_of_sides_and_the_point_itself():
    distances = torch.tensor([8.0, 16, 24, 32]).view(1, 4, 1, 1).requires_grad_()  # left, top, right, bottom; stride 8
    offsets = star_offsets(distances, 0.1, 8)
    grid = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    points = [
        (round(y + oy, 4), round(x + ox, 4)) for (y, x), (oy, ox) in zip(grid, offsets.detach().view(9, 2).tolist())
    ]
    assert points == [(-2, -1), (-2, 0), (-2, 3), (0, -1), (0, 0), (0, 3), (4, -1), (4, 0), (4, 3)]
    offsets.sum().backward()
    torch.testing.assert_close(distances.grad.flatten(), torch.tensor([-3.0, -3, 3, 3]) * 0.1 / 8)
