"""Learnt proposals."""

import pytest
import torch

from mmdet.models.builder import build_head

METAS = [dict(img_shape=(20, 40, 3)), dict(img_shape=(10, 30, 3))]


@pytest.fixture
def head():
    head = build_head(dict(type='EmbeddingRPNHead', num_proposals=2, proposal_feature_channel=3, train_cfg=None))
    head.init_weights()
    return head


def test_proposals_are_shares_of_each_image(head):
    with torch.no_grad():
        head.init_proposal_bboxes.weight[1] = torch.tensor([0.25, 0.5, 0.5, 0.2])
    boxes, queries, whwh = head.forward_train([], METAS)
    assert boxes.tolist() == [[[0, 0, 40, 20], [0, 8, 20, 12]], [[0, 0, 30, 10], [0, 4, 15, 6]]]
    assert whwh.tolist() == [[[40, 20, 40, 20]], [[30, 10, 30, 10]]]
    assert torch.equal(queries[0], head.init_proposal_features.weight) and torch.equal(queries[0], queries[1])


def test_gradient_is_the_sum_over_the_images(head):
    boxes, queries, _ = head.simple_test_rpn([], METAS)
    (boxes[..., 0].sum() + queries.sum()).backward()
    assert head.init_proposal_bboxes.weight.grad[0].tolist() == [70, 0, -35, 0]  # x1 = (cx - w / 2) * width
    assert (head.init_proposal_features.weight.grad == 2).all()


def test_what_it_cannot_do_says_so(head):
    with pytest.raises(NotImplementedError, match='one view'):
        head.aug_test_rpn([], [METAS])
    with pytest.raises(NotImplementedError, match='no scores'):
        head.simple_test([], METAS)
    with pytest.raises(ValueError, match='init_cfg must be None'):
        build_head(dict(type='EmbeddingRPNHead', init_cfg=dict(type='Normal')))
