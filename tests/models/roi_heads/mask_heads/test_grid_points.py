import pytest
import torch

from mmdet.models.roi_heads.grid_roi_head import jittered
from mmdet.models.roi_heads.mask_heads.grid_head import GridHead
from mmdet.models.roi_heads.mask_heads.grid_points import (
    boxes_from_heatmaps,
    grid_neighbours,
    grid_regions,
    heatmap_targets,
    point_positions,
)


def test_regions_are_quarters_at_the_ends_and_the_middle():
    starts = [region[:2] for region in grid_regions(3, 56)]
    assert starts == [(x, y) for x in (0, 14, 28) for y in (0, 14, 28)]
    assert all((x1 - x0, y1 - y0) == (28, 28) for x0, y0, x1, y1 in grid_regions(3, 56))
    assert [region[0] for region in grid_regions(4, 64)[::4]] == [0, 5, 26, 32]


def test_neighbours_share_an_edge():
    neighbours = grid_neighbours(3)
    assert neighbours[0] == [1, 3] and neighbours[4] == [1, 3, 5, 7] and neighbours[5] == [2, 4, 8]
    assert all(i in neighbours[j] for i, of_point in enumerate(neighbours) for j in of_point)


def test_points_run_column_by_column_from_corner_to_corner():
    points = point_positions(torch.tensor([[0.0, 10, 20, 50]]), 3)[0]
    assert points[:4].tolist() == [[0, 10], [0, 30], [0, 50], [10, 10]] and points[8].tolist() == [20, 50]


def test_target_is_a_disc_around_the_cell_of_the_point():
    boxes = torch.tensor([[10.0, 20, 50, 60]])
    targets = heatmap_targets(boxes, boxes, grid_regions(3, 16), 3, 16, 1)[0]
    assert targets.shape == (9, 8, 8)
    # the upper left corner of the RoI is at a quarter of the enlarged one: cell 4, 4
    assert targets[0].nonzero().tolist() == [[3, 4], [4, 3], [4, 4], [4, 5], [5, 4]]
    # middle left: cell 4, 8; its heatmap starts at row 4
    assert targets[1].nonzero().tolist() == [[3, 4], [4, 3], [4, 4], [4, 5], [5, 4]]


def test_points_outside_their_region_and_tiny_rois_have_no_target():
    rois = torch.tensor([[0.0, 0, 40, 40], [0.0, 0, 1, 40]])
    far = torch.tensor([[30.0, 0, 70, 40], [0.0, 0, 1, 40]])
    targets = heatmap_targets(rois, far, grid_regions(2, 16), 2, 16, 0)
    assert targets[0].sum(dim=(1, 2)).tolist() == [0, 0, 0, 0] and targets[1].sum() == 0
    assert heatmap_targets(rois[:0], far[:0], grid_regions(2, 16), 2, 16, 0).shape == (0, 4, 8, 8)


@pytest.mark.parametrize('grid_size', [2, 3, 4])
def test_boxes_come_back_from_their_targets(grid_size):
    regions = grid_regions(grid_size, 512)
    rois = torch.tensor([[0.0, 0, 100, 100], [20, 30, 80, 60]])
    objects = torch.tensor([[10.0, -5, 90, 110], [20, 32, 76, 60]])
    found = boxes_from_heatmaps(rois, heatmap_targets(rois, objects, regions, grid_size, 512, 0), regions, grid_size)
    torch.testing.assert_close(found, objects, atol=0.5, rtol=0)


def test_sides_are_weighted_by_scores():
    heatmaps = torch.zeros(1, 4, 8, 8)
    for point, (row, column, score) in enumerate([(4, 4, 0.75), (3, 2, 0.25), (4, 3, 1.0), (3, 3, 1.0)]):
        heatmaps[0, point, row, column] = score
    (box,) = boxes_from_heatmaps(torch.tensor([[8.0, 8, 16, 16]]), heatmaps, grid_regions(2, 16), 2)
    # the enlarged RoI starts at 4 and has cells of 1 px; points 0 and 1 are on the left, 0 and 2 at the top
    assert box.tolist() == pytest.approx([0.75 * 8.5 + 0.25 * 6.5, 8.5 + 0, 15.5, (0.25 * 15.5 + 15.5) / 1.25])


def test_jitter_stays_within_its_amplitude_and_the_image():
    boxes = torch.tensor([[20.0, 30, 60, 50]]).repeat(500, 1)
    moved = jittered(boxes, (45, 100, 3), 0.1)
    centres = (moved[:, 0] + moved[:, 2]) / 2
    assert (centres - 40).abs().max() <= 4 and (centres - 40).abs().max() > 3
    assert ((moved[:, 2] - moved[:, 0]) / 40 - 1).abs().max() <= 0.1 + 1e-6
    assert moved[:, 3].max() == 44 and jittered(boxes[:0], (45, 100, 3), 0.1).shape == (0, 4)


SMALL = dict(num_convs=1, roi_feat_size=4, in_channels=2, point_feat_channels=2, norm_cfg=None)


def test_unfused_logits_are_for_training_only():
    head = GridHead(**SMALL)
    out = head(torch.rand(2, 2, 4, 4))
    assert out['fused'].shape == (2, 9, 8, 8) and not torch.equal(out['fused'], out['unfused'])
    out = head.eval()(torch.rand(2, 2, 4, 4))
    assert out['fused'] is out['unfused']
    assert head(torch.rand(0, 2, 4, 4))['fused'].shape == (0, 9, 8, 8)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(grid_points=8), 'square number of at least 4, got 8'),
        (dict(norm_cfg=dict(type='BN')), 'expected None or GN'),
        (dict(norm_cfg=dict(type='GN', num_groups=4)), 'divides 18 channels'),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GridHead(**{**SMALL, **changes})


def test_features_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r'roi_feat_size is 4, but the features are \(1, 2, 7, 7\)'):
        GridHead(**SMALL)(torch.rand(1, 2, 7, 7))
