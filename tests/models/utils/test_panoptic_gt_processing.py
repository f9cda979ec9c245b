"""Ground truth as one list of masks."""

import numpy as np
import torch

from mmdet.core.mask import BitmapMasks
from mmdet.models.utils import preprocess_panoptic_gt

META = dict(pad_shape=(2, 4, 3))


def test_stuff_follows_the_objects():
    masks = BitmapMasks(np.ones((1, 2, 3), np.uint8), 2, 3)
    seg = torch.tensor([[[0, 0, 4, 255], [3, 3, 4, 255]]])
    labels, out = preprocess_panoptic_gt(torch.tensor([1]), masks, seg, 3, 2, META)
    assert labels.tolist() == [1, 3, 4]
    assert out[0].tolist() == [[1, 1, 1, 0]] * 2  # padded
    assert out[1:].tolist() == [[[0, 0, 0, 0], [1, 1, 0, 0]], [[0, 0, 1, 0], [0, 0, 1, 0]]]


def test_without_a_segmentation_objects_are_all():
    labels, out = preprocess_panoptic_gt(
        torch.zeros(0).long(), BitmapMasks(np.zeros((0, 2, 3), np.uint8), 2, 3), None, 3, 2, META
    )
    assert labels.shape == (0,) and out.shape == (0, 2, 4)
