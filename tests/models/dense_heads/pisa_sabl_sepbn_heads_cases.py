"""Objects, features and settings that the tests of RetinaNet-like heads use."""

import torch

FOCAL = dict(type='FocalLoss', use_sigmoid=True)
LEVELS = dict(type='AnchorGenerator', octave_base_scale=2, scales_per_octave=2, ratios=[0.5, 1.0], strides=[8, 16])
SQUARES = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
ASSIGNER = dict(pos_iou_thr=0.4, neg_iou_thr=0.3, min_pos_iou=0.0, ignore_iof_thr=-1)
GTS = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [12, 1, 31, 22]])]
LABELS = [torch.tensor([1]), torch.tensor([1, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


def feats(num=2):
    torch.manual_seed(1)
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]
