import torch
from mmcv import ConfigDict

from mmdet.models.dense_heads.functional.masks.grid_masks import (
    Grid,
    centre_cells,
    columns_and_rows,
    grid_targets,
    instances_of_cells,
    masks_of_batch,
    mass_centres,
    original_size,
    shrink_masks,
    targets_of_image,
    values_of_cells,
)


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


def test_values_and_sizes_of_grids():
    assert values_of_cells((8, 16), (2, 1), torch.zeros(1)).tolist() == [8, 8, 8, 8, 16]
    meta = dict(img_shape=(8, 4, 3), ori_shape=(4, 2, 3))
    assert original_size(torch.ones(3, 2, 2), 4, meta).shape == (3, 4, 2)
    assert original_size(torch.ones(0, 2, 2), 4, meta).shape == (0, 4, 2)


def test_objects_are_learnt_by_the_grids_of_their_size():
    masks, boxes = torch.stack([square(0, 0, 8), square(16, 16, 16)]), torch.tensor([[0.0, 0, 8, 8], [16, 16, 32, 32]])
    grids = [Grid(4, (1, 8), 8, (4, 4)), Grid(2, (8, 64), 8, (4, 4))]
    fine, coarse = targets_of_image(boxes, torch.tensor([1, 0]), masks, grids, 0.2, 2, last_only=True)
    assert fine.labels.nonzero().squeeze(1).numel() == 16 and fine.cells.tolist() == [0]  # background is 2
    assert coarse.labels.tolist() == [1, 2, 2, 0] and coarse.cells.tolist() == [0, 3]
    images, cells, joined = masks_of_batch([coarse, fine])
    assert images.tolist() == [0, 0, 1] and cells.tolist() == [0, 3, 0] and joined.sum((1, 2)).tolist() == [1, 4, 1]


def test_columns_and_rows_of_all_grids():
    columns, rows = columns_and_rows([2, 1], torch.device('cpu'))
    assert columns.tolist() == [0, 1, 0, 1, 2] and rows.tolist() == [0, 0, 1, 1, 2]


def test_an_instance_scores_by_how_sure_its_mask_is_and_small_masks_go():
    cfg = ConfigDict(score_thr=0.1, mask_thr=0.5, filter_thr=0, nms_pre=9, max_per_img=9, kernel='gaussian', sigma=2.0)
    masks = torch.zeros(3, 4, 4)
    masks[0, :2, :2], masks[1, 3, 2:], masks[2, 0, 3] = 0.75, 1.0, 1.0  # of 4, 2 and 1 cells
    scores = torch.tensor([[0.8, 0.0], [0.05, 0.5], [0.9, 0.0]])
    meta = dict(img_shape=(16, 16, 3), ori_shape=(8, 8, 3))
    found = instances_of_cells(scores, lambda cells: masks[cells], torch.ones(3), 4, meta, cfg)
    assert found.labels.tolist() == [0, 1] and found.masks.shape == (2, 8, 8)
    torch.testing.assert_close(found.scores, torch.tensor([0.6, 0.5]))  # 0.8 * 0.75, 0.5 * 1; the third has one cell
