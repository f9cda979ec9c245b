import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from mmdet.models.roi_heads.mask_heads import paste


def bilinear(mask, y, x):
    """Value of a mask (h, w) at (y, x) in cells from its upper left corner; 0 outside."""
    y, x = y - 0.5, x - 0.5
    value = 0.0
    for i in (int(np.floor(y)), int(np.floor(y)) + 1):
        for j in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= i < len(mask) and 0 <= j < len(mask[0]):
                value += float(mask[i][j]) * (1 - abs(y - i)) * (1 - abs(x - j))
    return value


def pasted_by_hand(mask, box, img_h, img_w):
    x0, y0, x1, y1 = box
    out = np.zeros((img_h, img_w), dtype=np.float32)
    for row in range(img_h):
        for column in range(img_w):
            y = (row + 0.5 - y0) / (y1 - y0) * len(mask)
            x = (column + 0.5 - x0) / (x1 - x0) * len(mask[0])
            out[row, column] = bilinear(mask, y, x)
    return out


BOXES = [[3.2, 1.5, 9.7, 6.0], [0, 0, 12, 9], [-2, -3, 4, 5], [8, 4, 20, 15]]


@pytest.mark.parametrize('box', BOXES)
def test_paste_equals_the_plain_definition(box):
    masks = torch.rand(1, 1, 4, 3, generator=torch.Generator().manual_seed(2))
    expected = torch.from_numpy(pasted_by_hand(masks[0, 0].tolist(), box, 9, 12))
    whole, region = paste.paste_masks(masks, torch.tensor([box]), 9, 12, skip_empty=False)
    torch.testing.assert_close(whole[0], expected, atol=1e-5, rtol=1e-5)
    assert region == ()
    part, (rows, columns) = paste.paste_masks(masks, torch.tensor([box]), 9, 12)
    torch.testing.assert_close(part[0], expected[rows, columns], atol=1e-5, rtol=1e-5)
    expected[rows, columns] = 0
    assert expected.max() < 0.5  # interpolation reaches beyond the box, but nothing is inside there


@pytest.mark.parametrize('threshold', [0.5, -1])
def test_image_masks_in_one_piece_equal_those_one_by_one(threshold, monkeypatch):
    masks, boxes = torch.rand(4, 1, 28, 28), torch.tensor(BOXES)
    single = paste.image_masks(masks, boxes, 9, 12, threshold)
    monkeypatch.setattr(paste, '_chunks', lambda n, *_: [slice(0, n)])
    assert all(np.array_equal(a, b) for a, b in zip(single, paste.image_masks(masks, boxes, 9, 12, threshold)))
    assert all(m.shape == (9, 12) and m.dtype == (bool if threshold > 0 else np.uint8) for m in single)


def test_chunks_cover_all_masks_within_the_memory_bound():
    pieces = list(paste._chunks(100, 2000, 3000, torch.device('cuda')))
    assert [i for piece in pieces for i in range(piece.start, piece.stop)] == list(range(100))
    assert max(p.stop - p.start for p in pieces) * 2000 * 3000 * paste.BYTES_PER_PIXEL <= paste.CHUNK_BYTES
    assert len(list(paste._chunks(3, 9, 9, torch.device('cpu')))) == 3
    assert not list(paste._chunks(0, 9, 9, torch.device('cuda')))


@pytest.mark.parametrize('box', [[5, 5, 5, 5], [5, 2, 5, 8], [40, 40, 50, 50], [-9, -9, -5, -5]])
def test_boxes_without_area_or_outside_give_finite_masks(box):
    (mask,) = paste.image_masks(torch.ones(1, 1, 3, 3), torch.tensor([box], dtype=torch.float32), 9, 12, 0.5)
    assert mask.shape == (9, 12) and (max(box) < 9 and min(box) > 0 or not mask.any())


def test_what_is_in_use_at_a_time_stays_within_the_bound(monkeypatch):
    chunks, sample, used = paste._chunks, paste.F.grid_sample, []

    def counted(masks, grid, **options):
        out = sample(masks, grid, **options)
        used.append(grid.numel() * grid.element_size() + out.numel() * out.element_size())
        return out

    masks = torch.rand(7, 1, 28, 28)
    boxes = torch.tensor([[0.0, 0.0, 60.0, 40.0]]).repeat(7, 1)
    whole = paste.image_masks(masks, boxes, 40, 60, 0.5)
    monkeypatch.setattr(paste, '_chunks', lambda n, h, w, device: chunks(n, h, w, torch.device('cuda')))
    monkeypatch.setattr(paste, 'CHUNK_BYTES', 3 * 40 * 60 * paste.BYTES_PER_PIXEL + 5)
    monkeypatch.setattr(paste.F, 'grid_sample', counted)
    assert all(np.array_equal(a, b) for a, b in zip(whole, paste.image_masks(masks, boxes, 40, 60, 0.5)))
    assert len(used) == 3 and max(used) == 3 * 40 * 60 * paste.BYTES_PER_PIXEL <= paste.CHUNK_BYTES


@pytest.mark.parametrize('skip_empty', [True, False])
def test_whole_pixels_are_those_of_torchvision(skip_empty):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(30, 2, generator=generator) * torch.tensor([50.0, 30.0])
    boxes = torch.cat([corners, corners + torch.rand(30, 2, generator=generator) * 40], dim=1)
    extremes = torch.tensor([[0.0, 0, 59.5, 39.5], [-3, -2, 70, 60], [10, 10, 10.2, 10.4], [12, 5, 12, 30]])
    boxes = torch.cat([boxes, extremes])
    masks = torch.rand(len(boxes), 1, 7, 7, generator=generator)
    want = paste_masks_in_image(masks, boxes, (40, 60))[:, 0]
    got, region = paste.paste_masks(masks, boxes, 40, 60, skip_empty, paste.WHOLE_PIXELS)
    whole = torch.zeros_like(want)
    whole[(slice(None), *region)] = got
    torch.testing.assert_close(whole, want, rtol=0, atol=1e-5)


def test_ways_of_pasting_differ_at_the_edge_alone_and_others_are_refused():
    box = torch.tensor([[3.4, 2.4, 9.4, 8.4]])
    exact, whole = (paste.image_masks(torch.ones(1, 1, 7, 7), box, 10, 12, 0.5, way)[0] for way in paste.PASTINGS)
    assert exact.sum() == 35 == exact[2:8, 3:9].sum() and (exact != whole).sum() == 14
    assert whole[2:9, 3:10].all() and whole.sum() == 49
    with pytest.raises(ValueError, match="did you mean 'whole_pixels'"):
        paste.image_masks(torch.ones(1, 1, 7, 7), box, 10, 12, 0.5, 'whole_pixel')
