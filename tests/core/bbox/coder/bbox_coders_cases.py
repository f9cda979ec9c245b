"""Boxes that the tests of several coders encode and decode."""

import torch

from mmdet.core.bbox.demodata import random_boxes

BOX = torch.tensor([[0.0, 0, 10, 20]])


def some_boxes(seed, count=6):
    boxes = random_boxes(count, 30, seed)
    return torch.cat([boxes[:, :2], boxes[:, 2:] + 3], dim=1)
