import pytest
import torch

from mmdet.models.dense_heads.functional.corners.heatmaps import (
    border_of,
    draw_gaussians,
    gaussian_radii,
    middles_of_cells,
    objects_in_cells,
    write_cells,
)
from mmdet.models.utils.gaussian_target import gaussian_radius, gen_gaussian_target


def test_radii_are_those_of_single_boxes():
    sizes = torch.tensor([[3.0, 5], [12.5, 7.25], [40, 90], [0.5, 0.5], [0, 0]])
    wanted = [max(0, int(gaussian_radius(size, 0.3))) for size in sizes.tolist()]
    assert gaussian_radii(sizes, 0.3).tolist() == wanted
    assert wanted[2] > wanted[1] > 0 == wanted[4]


def test_gaussians_are_those_of_single_objects_also_at_the_border_and_where_they_meet():
    torch.manual_seed(0)
    cells = torch.stack([torch.randint(0, 9, (12,)), torch.randint(0, 7, (12,))], dim=1)
    maps, radii = torch.randint(0, 3, (12,)), torch.randint(0, 5, (12,))
    wanted = torch.zeros(3, 7, 9)
    for number, cell, radius in zip(maps, cells, radii):
        gen_gaussian_target(wanted[number], cell.tolist(), int(radius))
    torch.testing.assert_close(draw_gaussians(3, (7, 9), maps, cells, radii), wanted)
    assert wanted[0].eq(1).any()


def test_last_object_of_a_cell_is_written():
    values = torch.tensor([[1.0, 2], [3, 4], [5, 6]])
    images, cells = torch.tensor([0, 0, 1]), torch.tensor([[2, 1], [2, 1], [0, 0]])
    written = write_cells(values, images, cells, (2, 2, 3))
    assert written.shape == (2, 2, 2, 3)
    assert written[0, :, 1, 2].tolist() == [3, 4] and written[1, :, 0, 0].tolist() == [5, 6]
    assert written.sum() == 18


def test_batch_without_objects_gives_zeros():
    boxes, labels, images = objects_in_cells([torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2, (2, 1, 3, 3), (9, 9))
    assert (len(boxes), len(labels), len(images)) == (0, 0, 0)
    assert not draw_gaussians(2, (3, 3), images, images.view(0, 1).expand(0, 2), images).any()
    assert not write_cells(torch.zeros(0, 2), images, images.view(0, 1).expand(0, 2), (2, 3, 3)).any()


def test_objects_of_a_batch_are_told_in_cells_image_after_image():
    boxes = [torch.tensor([[4.0, 8, 12, 16]]), torch.zeros(0, 4), torch.tensor([[0.0, 0, 24, 16]])]
    labels = [torch.tensor([2]), torch.zeros(0).long(), torch.tensor([1])]
    cells, classes, images = objects_in_cells(boxes, labels, (3, 4, 4, 6), (16, 24, 3))
    assert cells.tolist() == [[1, 2, 3, 4], [0, 0, 6, 4]]
    assert (classes.tolist(), images.tolist()) == ([2, 1], [0, 2])


def test_middles_of_cells():
    middles = middles_of_cells((2, 3), (16, 24, 3), torch.zeros(1))
    assert middles.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]


def test_border_must_be_told():
    assert border_of(dict(border=[3, 90, 5, 80])) == (5, 3)
    with pytest.raises(KeyError, match="a.jpg lacks 'border'.*meta_keys of Collect"):
        border_of(dict(filename='a.jpg'))
