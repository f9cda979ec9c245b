import torch
from bbox_coders_cases import BOX
from torch.testing import assert_close

from mmdet.core.bbox.coder.tblr_bbox_coder import bboxes2tblr, tblr2bboxes


def test_tblr_by_hand_and_in_pixels():
    gt = torch.tensor([[1.0, 6, 9, 18]])
    assert_close(bboxes2tblr(BOX, gt, normalizer=2.0), torch.tensor([[0.1, 0.2, 0.2, 0.2]]))
    pixels = bboxes2tblr(BOX, gt, normalizer=1.0, normalize_by_wh=False)
    assert_close(pixels, torch.tensor([[4.0, 8, 4, 4]]))
    boxes = tblr2bboxes(BOX, pixels, normalizer=1.0, normalize_by_wh=False, max_shape=(15, 8))
    assert_close(boxes, torch.tensor([[1.0, 6, 8, 15]]))
