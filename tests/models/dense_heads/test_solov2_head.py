import torch

from mmdet.models.dense_heads.solov2_head import masks_of_kernels


def test_kernels_make_masks():
    features = torch.tensor([[[1.0, 2]], [[10, 20]]])
    assert masks_of_kernels(features, torch.tensor([[1.0, 0], [1, 1]]), 1).tolist() == [[[1, 2]], [[11, 22]]]
    assert masks_of_kernels(features, torch.zeros(0, 2), 1).shape == (0, 1, 2)
