import math

import torch
from torch.testing import assert_close

from mmdet.core.bbox import build_bbox_coder


def test_legacy_delta_counts_the_last_pixel():
    coder = build_bbox_coder(dict(type='LegacyDeltaXYWHBBoxCoder'))
    prior, gt = torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([[0.0, 0, 19, 4]])
    deltas = coder.encode(prior, gt)
    assert_close(deltas, torch.tensor([[0.5, -0.25, math.log(2), math.log(0.5)]]))
    half = torch.tensor([[-0.5, -0.5, 0.5, 0.5]])
    assert_close(coder.decode(prior, deltas), gt + half)
    assert_close(coder.decode(prior, deltas, max_shape=(4, 8)), torch.tensor([[0.0, 0, 7, 3]]))
