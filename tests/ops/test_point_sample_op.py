import torch
from torch.autograd import gradcheck

from mmdet.ops import SimpleRoIAlign, points_in_image, read_at_points, read_masks_at_points

RAMP = torch.arange(12.0).view(1, 1, 3, 4)  # value at row i, column j: 4 i + j


def test_points_of_a_roi_lie_inside_it():
    rois = torch.tensor([[0.0, 10, 20, 30, 60]])
    points = torch.tensor([[[0.0, 0], [1, 1], [0.5, 0.25]]])
    assert points_in_image(rois, points).tolist() == [[[10, 20], [30, 60], [20, 30]]]


def test_read_at_points_is_bilinear_between_the_middles_of_cells():
    points = torch.tensor([[[0.5, 0.5], [1.0, 0.5], [2.0, 2.0], [-5.0, 1.0]]])
    values = read_at_points(RAMP, torch.zeros(1).long(), points)
    torch.testing.assert_close(values[0, 0], torch.tensor([0, 0.5, 7.5, 0]))
    torch.testing.assert_close(read_at_points(RAMP, torch.zeros(1).long(), points * 8, 1 / 8), values)


def test_every_roi_reads_the_map_of_its_image_whatever_their_order():
    maps = torch.stack([RAMP[0], 100 + RAMP[0]])
    points = torch.tensor([[[0.5, 0.5]], [[1.5, 0.5]], [[2.5, 1.5]]])
    values = read_at_points(maps, torch.tensor([1, 0, 1]), points)
    torch.testing.assert_close(values.flatten(), torch.tensor([100.0, 1, 106]))


def test_read_at_points_of_no_roi_keeps_the_graph():
    maps = RAMP.clone().requires_grad_()
    values = read_at_points(maps, torch.zeros(0).long(), torch.zeros(0, 5, 2))
    assert values.shape == (0, 1, 5)
    values.sum().backward()
    assert maps.grad.abs().sum() == 0


def test_read_at_points_has_the_right_gradient():
    maps = torch.randn(2, 2, 3, 4, dtype=torch.double, requires_grad=True)
    points = torch.rand(3, 2, 2, dtype=torch.double) * 3
    assert gradcheck(lambda m: read_at_points(m, torch.tensor([0, 1, 1]), points), maps)


def test_read_masks_at_points_equals_reading_float_maps():
    torch.manual_seed(0)
    masks, rows = torch.rand(3, 6, 5) > 0.5, torch.tensor([2, 0, 2, 1])
    points = torch.rand(4, 7, 2) * 8 - 1  # some outside
    wanted = read_at_points(masks[:, None].float(), rows, points)[:, 0]
    torch.testing.assert_close(read_masks_at_points(masks.to(torch.uint8), rows, points), wanted)


def test_simple_roi_align_samples_the_middles_of_its_bins():
    whole_image = torch.tensor([[0.0, 0, 0, 8, 6]])
    torch.testing.assert_close(SimpleRoIAlign((3, 4), 0.5)(RAMP, whole_image), RAMP)
    shrunk = SimpleRoIAlign((3, 4), 0.5, aligned=False)(RAMP, whole_image)
    # the first middle lies at 1 / 8 of 4 - 1 columns and at 1 / 6 of 3 - 1 rows
    torch.testing.assert_close(shrunk[0, 0, 0, 0], torch.tensor(3 / 8 + 4 * 2 / 6))
