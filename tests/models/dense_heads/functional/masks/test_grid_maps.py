import pytest
import torch

from mmdet.models.dense_heads.functional.masks.grid_maps import (
    at_size,
    only_local_maxima,
    upsampled,
    values_of_grids,
    with_positions,
)


def test_positions_stand_behind_the_features_x_before_y():
    placed = with_positions(torch.full((2, 3, 2, 3), 7.0, dtype=torch.float64))
    assert placed.dtype == torch.float64 and placed.shape == (2, 5, 2, 3)
    assert (placed[:, :3] == 7).all()
    assert placed[1, 3].tolist() == [[-1, 0, 1], [-1, 0, 1]] and placed[1, 4].tolist() == [[-1] * 3, [1] * 3]


def test_maps_of_the_right_size_are_not_copied():
    maps = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    assert at_size(maps, (1, 2)) is maps
    assert at_size(maps, (1, 4)).flatten().tolist() == [0, 1, 3, 4]


def test_a_tower_comes_before_the_upsampling():
    maps = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    assert upsampled([torch.nn.ReLU(), torch.neg], maps)[0, 0].tolist() == [[0, -1, -3, -4]] * 2


def test_only_local_maxima_stay():
    scores = torch.tensor([[0.9, 0.5, 0.7], [0.1, 0.8, 0.2]])[None, None]
    assert only_local_maxima(scores)[0, 0].tolist() == [
        [pytest.approx(0.9), 0, pytest.approx(0.7)],
        [0, 0, 0],
    ]


def test_cells_of_all_grids_become_rows_in_full_precision():
    grids = [torch.arange(8.0).view(1, 2, 2, 2).half(), torch.tensor([8.0, 9]).view(1, 2, 1, 1).half()]
    rows = values_of_grids(grids)
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[[0, 4], [1, 5], [2, 6], [3, 7], [8, 9]]]
