"""What heads of the zoo are made of, against numbers worked out by hand."""

import math

import pytest
import torch

from mmdet.models.dense_heads.ascend_anchor_head import pad_rows
from mmdet.models.dense_heads.ddod_head import reweight_factors
from mmdet.models.dense_heads.functional.gaussian_mixture import fit_two_gaussians, likely_members
from mmdet.models.dense_heads.functional.grid_masks import (
    centre_cells,
    grid_targets,
    mass_centres,
    only_local_maxima,
    original_size,
    shrink_masks,
    values_of_cells,
)
from mmdet.models.dense_heads.functional.prototypes import (
    crop_masks,
    mask_losses,
    masks_of_classes,
    resize_masks,
    sanitize_coordinates,
)
from mmdet.models.dense_heads.functional.star_points import star_offsets
from mmdet.models.dense_heads.functional.task_alignment import (
    TaskDecomposition,
    keep_valid_boxes,
    normalised_alignment,
    sample_channels,
)
from mmdet.models.dense_heads.paa_head import levels_to_images, lowest_of_each_level, vote
from mmdet.models.dense_heads.solov2_head import masks_of_kernels
from mmdet.models.necks.dyhead import DyHead, reread


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


def test_two_gaussians_find_two_groups_and_ignore_what_is_not_valid():
    values = torch.tensor([[1.0, 1.2, 1.1, 9.0, 9.2, 7e5], [0.0, 10.0, 0.0, 10.0, 10.0, 10.0]])
    valid = torch.tensor([[True] * 5 + [False], [True] * 6])
    mixture = fit_two_gaussians(values, valid)
    torch.testing.assert_close(mixture.means, torch.tensor([[1.1, 9.1], [0, 10]]).double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixture.weights[0], torch.tensor([0.6, 0.4]).double(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mixture.variances[0, 1].item(), 0.01 + 1e-5, rtol=1e-4, atol=0)
    tied = fit_two_gaussians(values, valid, 'tied').variances
    assert tied[0, 0] == tied[0, 1]
    with pytest.raises(ValueError, match="got 'round'"):
        fit_two_gaussians(values, valid, 'round')


def test_likely_members_end_with_the_likeliest_of_the_better_group():
    values = torch.tensor([[1.0, 1.1, 1.3, 9.0, 9.2], [2.0, torch.inf, torch.inf, torch.inf, torch.inf]])
    members = likely_members(values, values.isfinite())
    assert members.tolist() == [[True, True, False, False, False], [False] * 5]  # 1.1 is nearest to the mean
    assert not likely_members(values[1:], values[1:].isfinite()).any()


def test_lowest_losses_of_each_object_and_level():
    losses, gts = torch.tensor([3.0, 1, 2, 5, 4, 6]), torch.tensor([0, 0, 0, 1, 1, 0])
    values, places = lowest_of_each_level(losses, gts, [3, 3], 2, topk=2)
    assert values.tolist() == [[1, 2, 6, torch.inf], [4, 5, torch.inf, torch.inf]]
    assert places[0, :3].tolist() == [1, 2, 5] and places[1, :2].tolist() == [4, 3]


def test_levels_to_images_keeps_the_order_of_cells():
    maps = [torch.arange(8.0).view(2, 2, 1, 2), torch.full((2, 2, 1, 1), 9.0)]
    assert [image.tolist() for image in levels_to_images(maps)] == [[[0, 2], [1, 3], [9, 9]], [[4, 6], [5, 7], [9, 9]]]


def test_votes_are_means_weighted_by_overlap_and_score():
    dets = torch.tensor([[0.0, 0, 10, 10, 0.9]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores = torch.tensor([[0.9, 0.0], [0.5, 0.0], [0.8, 0.0], [0.0, 0.7]])  # the last one is of another class
    weights = torch.tensor([0.9, math.exp(-(0.5**2) / 0.025) * 0.5])
    bottom = (weights * torch.tensor([10.0, 5])).sum() / weights.sum()
    voted = vote(dets, torch.tensor([0]), boxes, scores, 0.1)
    torch.testing.assert_close(voted, torch.tensor([[0.0, 0, 10, bottom, 0.9]]))


def test_alignments_are_scaled_to_each_objects_greatest_iou():
    got = normalised_alignment(
        torch.tensor([0.2, 0.1, 0.4]), torch.tensor([0.5, 0.8, 0.6]), torch.tensor([0, 0, 2]), num_gts=3
    )
    torch.testing.assert_close(got, torch.tensor([0.8, 0.4, 0.6]), rtol=1e-5, atol=1e-6)
    assert normalised_alignment(*[torch.zeros(0)] * 2, torch.zeros(0, dtype=torch.long), 0).shape == (0,)


def test_channels_are_read_at_their_own_offsets():
    feat = torch.arange(18.0).view(1, 2, 3, 3)
    offset = torch.zeros(1, 4, 3, 3)
    offset[:, 0], offset[:, 3] = 1, 0.5  # the first channel a row further down, the second half a column to the right
    got = sample_channels(feat, offset)
    assert got[0, 0, :2].equal(feat[0, 0, 1:]) and not got[0, 0, 2].any()
    assert got[0, 1, :, 0].tolist() == [9.5, 12.5, 15.5]


def test_crossed_boxes_give_way():
    boxes, others = torch.tensor([[5.0, 0, 1, 4], [0, 0, 1, 4]]).T[None, :, None], torch.zeros(1, 4, 1, 2)
    assert keep_valid_boxes(boxes, others)[0, :, 0].T.tolist() == [[0, 0, 0, 0], [0, 0, 1, 4]]


def test_task_decomposition_weighs_the_features_of_each_layer():
    module = TaskDecomposition(8, 2, la_down_rate=8)
    torch.manual_seed(0)
    feat = torch.randn(2, 16, 3, 3)
    of_layer = module.layer_attention(feat.mean((2, 3), keepdim=True)).repeat_interleave(8, dim=1)
    conv = module.reduction_conv.conv
    want = torch.nn.functional.conv2d(feat * of_layer, conv.weight, conv.bias).relu()
    torch.testing.assert_close(module(feat), want, rtol=1e-5, atol=1e-5)


def test_levels_with_few_positives_weigh_more():
    assert reweight_factors([10, 0, 5]) == pytest.approx([1, 2, 1.5])
    assert reweight_factors([3, 3]) == pytest.approx([2, 2])


def test_rows_are_padded():
    assert pad_rows([torch.tensor([1, 2]), torch.tensor([3])], 3, -1).tolist() == [[1, 2, -1], [3, -1, -1]]
    with pytest.raises(ValueError, match='2 rows do not fit into 1'):
        pad_rows([torch.tensor([1, 2])], 1, 0)


def test_offsets_are_reread_in_the_coarser_size():
    values = torch.arange(16.0).view(1, 2, 2, 4)
    assert reread(values, torch.zeros(1, 5, 1, 2)).tolist() == [[[[0, 1]], [[2, 3]]]]


def test_dynamic_head_keeps_sizes_and_reaches_every_parameter():
    head = DyHead(16, 16, num_blocks=1)
    maps = head([torch.randn(2, 16, side, side) for side in (8, 4, 2)])
    assert [m.shape[-1] for m in maps] == [8, 4, 2]
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None for p in head.parameters())
    with pytest.raises(ValueError, match='init_cfg must be None'):
        DyHead(16, 16, init_cfg=dict(type='Normal'))


def test_masks_are_cropped_to_their_boxes_and_one_cell_around():
    masks = crop_masks(torch.ones(10, 10, 1), torch.tensor([[0.3, 0.5, 0.6, 0.2]]))
    rows, columns = masks[..., 0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 2, 6)
    low, high = sanitize_coordinates(torch.tensor([0.95]), torch.tensor([0.01]), 10, padding=1)
    assert (low.tolist(), high.tolist()) == ([0], [10])


def test_masks_of_classes_are_united():
    masks = torch.tensor([[[1.0, 0]], [[1, 1]], [[0, 1]]])
    assert masks_of_classes(masks, torch.tensor([2, 2, 0]), 3).tolist() == [[[0, 1]], [[0, 0]], [[1, 1]]]
    small = resize_masks(torch.tensor([[[1, 1, 0, 0], [1, 0, 0, 0]]]), (1, 2))
    assert small.tolist() == [[[1, 0]]]  # three quarters of the first cell


def test_small_objects_masks_count_as_much_as_large_ones():
    probabilities, targets = torch.full((2, 2, 2), 0.5), torch.ones(2, 2, 2)
    boxes = torch.tensor([[0.0, 0, 10, 20], [0, 0, 5, 10]])
    got = mask_losses(probabilities, targets, boxes, (20, 10, 3))
    torch.testing.assert_close(got, math.log(2) * torch.tensor([1.0, 4]))


def square(y, x, side, size=32):
    mask = torch.zeros(size, size)
    mask[y : y + side, x : x + side] = 1
    return mask


def test_cells_in_the_middle_of_an_object_are_its_own():
    masks = torch.stack([square(8, 16, 8), torch.zeros(32, 32)])
    assert [c.tolist() for c in mass_centres(masks)] == [[11.5, 0], [19.5, 0]]
    boxes = torch.tensor([[16.0, 8, 24, 16], [0, 0, 4, 4]])
    cells = centre_cells(boxes, masks, 4, 0.2, (32, 32))
    assert cells[0].nonzero().tolist() == [[1, 2]] and not cells[1].any()
    wide = centre_cells(
        boxes * torch.tensor([0, 1, 2, 1.0]), masks, 8, 1.0, (32, 32)
    )  # 48 px wide: three cells at most
    assert wide[0].nonzero().tolist() == [[1, 3], [1, 4], [1, 5], [2, 3], [2, 4], [2, 5], [3, 3], [3, 4], [3, 5]]


def test_shared_cells_learn_the_last_object_or_all():
    masks = torch.stack([square(0, 0, 16), square(8, 8, 8)])
    cells = torch.tensor([[[True, True], [False, False]], [[True, False], [False, False]]])
    boxes, labels = torch.zeros(2, 4), torch.tensor([2, 1])
    one = grid_targets(boxes, labels, masks, cells, 8, (4, 5), 3, last_only=True)
    assert one.labels.tolist() == [1, 2, 3, 3] and one.cells.tolist() == [0, 1]
    assert one.masks.shape == (2, 4, 5) and one.masks.sum((1, 2)).tolist() == [1, 4]
    both = grid_targets(boxes, labels, masks, cells, 8, (4, 5), 3, last_only=False)
    assert both.labels.equal(one.labels) and both.cells.tolist() == [0, 1, 0]
    assert both.masks.sum((1, 2)).tolist() == [4, 4, 1]
    none = grid_targets(boxes[:0], labels[:0], masks[:0], cells[:0], 8, (4, 5), 3, last_only=True)
    assert none.labels.tolist() == [3] * 4 and none.masks.shape == (0, 4, 5)


def test_small_masks_lie_in_the_upper_left_corner():
    small = shrink_masks(square(0, 0, 4, size=8)[None], 4, (3, 3))
    assert small[0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_only_local_maxima_stay():
    scores = torch.tensor([[0.9, 0.5, 0.7], [0.1, 0.8, 0.2]])[None, None]
    assert only_local_maxima(scores)[0, 0].tolist() == [
        [pytest.approx(0.9), 0, pytest.approx(0.7)],
        [0, 0, 0],
    ]


def test_values_and_sizes_of_grids():
    assert values_of_cells((8, 16), (2, 1), torch.zeros(1)).tolist() == [8, 8, 8, 8, 16]
    meta = dict(img_shape=(8, 4, 3), ori_shape=(4, 2, 3))
    assert original_size(torch.ones(3, 2, 2), 4, meta).shape == (3, 4, 2)
    assert original_size(torch.ones(0, 2, 2), 4, meta).shape == (0, 4, 2)


def test_kernels_make_masks():
    features = torch.tensor([[[1.0, 2]], [[10, 20]]])
    assert masks_of_kernels(features, torch.tensor([[1.0, 0], [1, 1]]), 1).tolist() == [[[1, 2]], [[11, 22]]]
    assert masks_of_kernels(features, torch.zeros(0, 2), 1).shape == (0, 1, 2)
