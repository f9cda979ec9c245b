import math

import torch
from torch.testing import assert_close

from mmdet.core.bbox.coder import YOLOBBoxCoder


def test_yolo_coder_by_hand_and_round_trip():
    prior, gt = torch.tensor([[4.0, 4, 12, 12]]), torch.tensor([[6.0, 3, 14, 19]])
    target = YOLOBBoxCoder().encode(prior, gt, stride=8)
    assert_close(target, torch.tensor([[0.75, 0.875, 0, math.log(2)]]))
    assert_close(YOLOBBoxCoder().decode(prior, target, stride=torch.tensor([8])), gt)
