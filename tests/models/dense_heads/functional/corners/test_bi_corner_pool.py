import torch

from mmdet.models.dense_heads.corner_head import BiCornerPool


def test_pooling_layers_see_what_lies_right_and_below():
    pool = BiCornerPool(2, ['top', 'left'], feat_channels=4, out_channels=3).eval()
    for p in pool.parameters():
        p.data.abs_()
    x = torch.zeros(1, 2, 9, 9)
    before = pool(x)
    x[0, :, 4, 8] = 5.0
    changed = (pool(x) != before)[0].any(dim=0)
    assert before.shape == (1, 3, 9, 9)
    assert changed[4].all() and not changed[:, 0].all()
