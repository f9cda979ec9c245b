import pytest
import torch

from mmdet.models.builder import build_loss


def test_associative_embedding_pulls_corners_and_pushes_boxes():
    loss = build_loss(dict(type='AssociativeEmbeddingLoss', pull_weight=1.0, push_weight=1.0))
    top_left, bottom_right = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    top_left[0, 0, 0, 1], bottom_right[0, 0, 1, 0] = 1.0, 2.0  # first box: tags 1 and 2, mean 1.5
    top_left[0, 0, 1, 1], bottom_right[0, 0, 1, 1] = 1.0, 1.0  # second: mean 1
    match = [[[[0, 1], [1, 0]], [[1, 1], [1, 1]]]]
    pull, push = loss(top_left, bottom_right, match)
    assert pull.item() == pytest.approx((0.25 + 0.25) / 2, rel=1e-5)
    assert push.item() == pytest.approx(0.5, rel=1e-5)
    assert [float(x) for x in loss(top_left, bottom_right, [[]])] == [0, 0]
    assert float(loss(top_left, bottom_right, [match[0][:1]])[1]) == 0
