from types import SimpleNamespace

import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.functional.cascade_stages import (
    fuse_semantic,
    likeliest_classes,
    mean_scores,
    name_stage_losses,
    refine_proposals,
    semantic_branch,
    train_semantic_branch,
)


def test_losses_are_named_by_stage_and_weighted_but_accuracy_is_not():
    losses = dict(loss_cls=torch.tensor(2.0), acc=torch.tensor(50.0), loss_bbox=torch.tensor(4.0))
    named = name_stage_losses(losses, 1, 0.5)
    assert {k: v.item() for k, v in named.items()} == {'s1.loss_cls': 1.0, 's1.acc': 50.0, 's1.loss_bbox': 2.0}


def test_a_semantic_branch_without_an_extractor_is_named():
    with pytest.raises(ValueError, match='semantic_roi_extractor is missing'):
        semantic_branch(None, dict(type='FusedSemanticHead', num_ins=2, fusion_level=0))


def test_likeliest_class_leaves_background_aside():
    scores = torch.tensor([[1.0, 3, 2, 9], [5, 1, 0, 9]])
    assert likeliest_classes(BBoxHead(num_classes=3), scores).tolist() == [1, 0]
    assert likeliest_classes(BBoxHead(num_classes=3), scores[:0]).shape == (0,)


def test_likeliest_class_heeds_an_activation_of_the_loss():
    head = SimpleNamespace(custom_activation=True, loss_cls=SimpleNamespace(get_activation=lambda s: s.flip(1)))
    assert likeliest_classes(head, torch.tensor([[0.0, 1, 7, 2]])).tolist() == [1]


def test_refining_moves_negatives_as_their_best_class_and_drops_ground_truth(sampled):
    """Codes: class 0 moves a box to the right by its width, class 1 downward by its height."""
    head = BBoxHead(num_classes=2, bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[1.0] * 4))
    res = sampled([1, 0], 1)
    res.pos_is_gt = torch.tensor([1, 0])
    rois = torch.cat([torch.zeros(3, 1), res.bboxes], dim=1)  # boxes are 20 wide and 30 high
    results = dict(
        rois=rois,
        cls_score=torch.tensor([[0.0, 0, 9], [0, 0, 9], [0, 5, 9]]),
        bbox_pred=torch.tensor([[1.0, 0, 0, 0, 0, 1, 0, 0]]).repeat(3, 1),
        bbox_targets=(torch.tensor([1, 0, 2]),),
    )
    (refined,) = refine_proposals(head, results, [res], [dict(img_shape=(200, 200, 3))])
    expected = res.bboxes[1:] + torch.tensor([[20.0, 0, 20, 0], [0, 30, 0, 30]])
    torch.testing.assert_close(refined, expected)


def test_mask_scores_are_averaged_after_the_sigmoid():
    scores = mean_scores([torch.full((1, 1, 2, 2), 100.0), torch.zeros(1, 1, 2, 2)])
    assert scores.shape == (1, 1, 2, 2) and scores == pytest.approx(0.75)


def test_semantic_features_are_pooled_to_the_size_of_the_roi_features():
    pooled = torch.arange(16.0).reshape(1, 1, 4, 4)
    fused = fuse_semantic(lambda feats, rois: pooled, torch.ones(1, 1, 2, 2), None, None)
    assert fused.flatten().tolist() == [3.5, 5.5, 11.5, 13.5]


def test_missing_semantic_ground_truth_says_how_to_get_it():
    with pytest.raises(ValueError, match=r'gt_semantic_seg is missing.*with_seg=True'):
        train_semantic_branch(SimpleNamespace(with_semantic=True), None, None)


def test_heads_without_a_semantic_branch_have_no_semantic_loss():
    assert train_semantic_branch(SimpleNamespace(with_semantic=False), None, None) == ({}, {})


BOX = dict(type='BBoxHead', in_channels=1, roi_feat_size=1, num_classes=2)
POOL = dict(
    type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=1), out_channels=1, featmap_strides=[8]
)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(stage_loss_weights=[1]), 'stage_loss_weights: expected 2 entries, one for each stage, got 1'),
        (dict(bbox_head=[BOX] * 3), 'bbox_head: expected 2 entries'),
        (dict(train_cfg=[{}]), 'train_cfg: expected 2 entries'),
        (dict(bbox_head=None), 'needs a bbox_roi_extractor and a bbox_head'),
        (dict(shared_head=dict(type='ResLayer')), 'takes no shared_head'),
    ],
)
def test_settings_that_do_not_fit_the_stages_are_refused(changes, message):
    cfg = dict(type='CascadeRoIHead', num_stages=2, stage_loss_weights=[1, 1], bbox_roi_extractor=POOL, bbox_head=BOX)
    with pytest.raises(ValueError, match=message):
        build_head(ConfigDict({**cfg, **changes}))


def test_scores_of_all_stages_are_averaged_and_boxes_are_the_last(rcnn_cfg):
    cfg = dict(type='CascadeRoIHead', num_stages=2, stage_loss_weights=[1, 1], bbox_roi_extractor=POOL, bbox_head=BOX)
    head = build_head(ConfigDict(cfg))
    for p in head.parameters():
        torch.nn.init.zeros_(p)
    head.bbox_head[0].fc_cls.bias.data = torch.tensor([2.0, 0, 0])
    head.bbox_head[1].fc_cls.bias.data = torch.tensor([0.0, 6, 0])
    head.bbox_head[0].fc_reg.bias.data[:] = torch.tensor([10.0, 0, 0, 0, 0, 10, 0, 0])  # codes times std 0.1
    head.bbox_head[1].fc_reg.bias.data[:] = torch.tensor([0.0, 0, 0, 0, 0, 10, 0, 0])
    meta = dict(img_shape=(100, 100, 3), scale_factor=1.0)
    box = torch.tensor([[10.0, 20, 30, 50]])
    boxes, scores = head.simple_test_bboxes([torch.zeros(1, 1, 13, 13)], [meta], [box], None)
    torch.testing.assert_close(scores[0], torch.tensor([[1.0, 3, 0]]).softmax(1))
    # stage 0 moves right by 20 (its best class is 0); stage 1 says what either class would move to
    torch.testing.assert_close(boxes[0], torch.tensor([[30.0, 20, 50, 50, 30, 50, 50, 80]]))
