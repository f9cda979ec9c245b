"""Arithmetic of the heads of DETR."""

import pytest
import torch

from mmdet.models.dense_heads.functional.detr import (
    best_queries,
    boxes_inside,
    check_class_weight,
    check_num_feats,
    losses_by_layer,
    rename_old_keys,
    with_class_weights,
)


def test_losses_are_named_by_layer_and_the_last_ones_plainly():
    layers = ((torch.tensor(2.0 * i), torch.tensor(2.0 * i + 1)) for i in range(3))
    named = {name: loss.item() for name, loss in losses_by_layer(layers, ('loss_cls', 'loss_bbox')).items()}
    assert named == {
        'd0.loss_cls': 0, 'd0.loss_bbox': 1, 'd1.loss_cls': 2, 'd1.loss_bbox': 3, 'loss_cls': 4, 'loss_bbox': 5
    }  # fmt: skip


def test_a_class_weight_becomes_one_for_each_class_and_one_for_background():
    cfg = dict(type='CrossEntropyLoss', class_weight=2.0, bg_cls_weight=0.1)
    assert with_class_weights(cfg, 2) == (dict(type='CrossEntropyLoss', class_weight=[2.0, 2.0, 0.1]), 0.1)
    assert cfg['bg_cls_weight'] == 0.1
    assert with_class_weights(dict(class_weight=2.0), 1) == (dict(class_weight=[2.0, 2.0]), 2.0)
    listed = dict(class_weight=[1.0, 0.5])
    assert with_class_weights({**listed, 'bg_cls_weight': 0.1}, 1) == (listed, 0.0)


def test_parameters_get_the_names_of_version_2_where_they_are_of_the_transformer():
    state = {'head.transformer.decoder.norm.bias': 1, 'head.transformer.a.multihead_attn.w': 2, 'head.fc.ffn.b': 3}
    rename_old_keys(state, 'head.transformer.')
    assert state == {
        'head.transformer.decoder.post_norm.bias': 1, 'head.transformer.a.attentions.1.w': 2, 'head.fc.ffn.b': 3
    }  # fmt: skip


def test_with_sigmoids_a_query_may_be_several_detections():
    logits = torch.tensor([[3.0, 2.0], [-5.0, 1.0]])
    scores, rows, labels = best_queries(logits, 3, use_sigmoid=True)
    assert rows.tolist() == [0, 0, 1] and labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(scores, torch.tensor([3.0, 2, 1]).sigmoid())


def test_with_a_softmax_a_query_is_one_detection_and_background_none():
    logits = torch.tensor([[0.0, 1.0, 9.0], [2.0, 0.0, -9.0]])
    scores, rows, labels = best_queries(logits, 9, use_sigmoid=False)
    assert rows.tolist() == [1, 0] and labels.tolist() == [0, 1] and scores[1] < 0.01


def test_boxes_are_px_inside_of_the_image():
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.25], [1.0, 0.0, 0.5, 1.0]])
    assert boxes_inside(boxes, (40, 80, 3)).tolist() == [[20, 15, 60, 25], [60, 0, 80, 20]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='half of the 8 channels, got 3'):
        check_num_feats(3, 8)
    check_num_feats(4, 8)
    with pytest.raises(ValueError, match='each of 2 classes'):
        check_class_weight([1.0, 1.0], 2)
    check_class_weight([1.0, 1.0, 0.1], 2)
