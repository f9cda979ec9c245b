import torch

from mmdet.models.dense_heads.paa_head import levels_to_images


def test_levels_to_images_keeps_the_order_of_cells():
    maps = [torch.arange(8.0).view(2, 2, 1, 2), torch.full((2, 2, 1, 1), 9.0)]
    assert [image.tolist() for image in levels_to_images(maps)] == [[[0, 2], [1, 3], [9, 9]], [[4, 6], [5, 7], [9, 9]]]
