"""The RoI head of Sparse R-CNN and QueryInst."""

import copy

import numpy as np
import pytest
import torch
from mmcv import ConfigDict

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.custom_sampler import BasicSamplerWithIgnore
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import HEADS, build_head
from mmdet.models.roi_heads.bbox_heads.dii_head import DIIHead
from mmdet.models.roi_heads.sparse_roi_head import best_pairs


@BBOX_SAMPLERS.register_module(force=True)
class IgnoringPseudoSampler(BasicSamplerWithIgnore, PseudoSampler):
    """No negatives of flagged images."""


CONV = dict(type='DynamicConv', in_channels=4, feat_channels=2, out_channels=4)
EXTRACTOR = dict(
    type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2), out_channels=4,
    featmap_strides=[8, 16],
)  # fmt: skip
BOX = dict(
    type='DIIHeadWithWeightPerImage', num_classes=3, num_heads=2, num_reg_fcs=2, feedforward_channels=8, in_channels=4,
    dynamic_conv_cfg=dict(CONV, input_feat_shape=3), loss_bbox=dict(type='L1Loss', loss_weight=5.0),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, loss_weight=2.0),
    bbox_coder=dict(type='DeltaXYWHBBoxCoder', clip_border=False, target_stds=[0.5, 0.5, 1.0, 1.0]),
)  # fmt: skip
MASK = dict(
    type='DynamicMaskHead', num_convs=1, roi_feat_size=3, in_channels=4, conv_out_channels=4, num_classes=3,
    dynamic_conv_cfg=dict(CONV, input_feat_shape=3, with_proj=False), norm_cfg=dict(type='BN'),
    loss_mask=dict(type='DiceLoss', loss_weight=8.0, activate=False, eps=1e-5),
)  # fmt: skip
TRAIN = dict(
    assigner=dict(
        type='HungarianAssigner', cls_cost=dict(type='FocalLossCost', weight=2.0),
        reg_cost=dict(type='BBoxL1Cost', weight=5.0), iou_cost=dict(type='IoUCost', iou_mode='giou', weight=2.0),
    ),
    sampler=dict(type='IgnoringPseudoSampler'), pos_weight=1, mask_size=6,
)  # fmt: skip


def make(with_mask=True, **changes):
    torch.manual_seed(0)
    masks = dict(mask_roi_extractor=EXTRACTOR, mask_head=MASK) if with_mask else {}
    cfg = dict(
        type='SparseRoIHead', num_stages=2, stage_loss_weights=[1, 0.5], proposal_feature_channel=4,
        bbox_roi_extractor=EXTRACTOR, bbox_head=BOX, train_cfg=[TRAIN] * 2,
        test_cfg=dict(max_per_img=5, mask_thr_binary=0.5),
    )  # fmt: skip
    return build_head(ConfigDict(copy.deepcopy(cfg | masks | changes)))


@pytest.fixture
def batch(roi_batch):
    whwh = torch.tensor([[[128.0, 96, 128, 96]]]).repeat(2, 1, 1)
    torch.manual_seed(3)
    boxes = torch.tensor([[0.0, 0, 128, 96], [8, 8, 60, 60], [50, 20, 120, 90], [10, 30, 90, 90]]).repeat(2, 1, 1)
    return dict(
        x=roi_batch['x'],
        proposal_boxes=boxes,
        proposal_features=torch.randn(1, 4, 4).repeat(2, 1, 1),
        img_metas=roi_batch['img_metas'],
        gt_bboxes=roi_batch['gt_bboxes'],
        gt_labels=roi_batch['gt_labels'],
        imgs_whwh=whwh,
        gt_masks=[BitmapMasks(np.ones((len(b), 96, 128), np.uint8), 96, 128) for b in roi_batch['gt_bboxes']],
    )


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)


NAMES = {f'stage{s}_{n}' for s in (0, 1) for n in ('loss_cls', 'pos_acc', 'loss_bbox', 'loss_iou')}
MASK_NAMES = {'stage0_loss_mask', 'stage1_loss_mask'}


@pytest.mark.parametrize('with_mask', [False, True])
def test_training_gives_its_losses_and_reaches_every_parameter(with_mask, batch):
    head = make(with_mask)
    losses = head.forward_train(**batch)
    assert set(losses) == (NAMES | MASK_NAMES if with_mask else NAMES)
    total(losses).backward()
    # the first query-key biases and such may stay still, matrices must move
    assert all(p.grad is not None for p in head.parameters())
    assert all(p.grad.abs().sum() > 0 for p in head.parameters() if p.dim() > 1)


@pytest.mark.parametrize('flag', [0, 1])
def test_images_without_objects_give_finite_losses_on_every_parameter(flag, batch):
    head = make()
    batch.update(
        gt_bboxes=[torch.zeros(0, 4)] * 2,
        gt_labels=[torch.zeros(0).long()] * 2,
        gt_masks=[BitmapMasks(np.zeros((0, 96, 128), np.uint8), 96, 128)] * 2,
        img_metas=[dict(meta, ignore_negatives=flag) for meta in batch['img_metas']],
    )
    losses = head.forward_train(**batch)
    assert set(losses) == NAMES | MASK_NAMES
    assert all(value == 0 for name, value in losses.items() if flag or 'cls' not in name)
    assert (losses['stage0_loss_cls'] == 0) == bool(flag)
    total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert all(b.isfinite().all() for b in head.buffers())


def test_box_losses_are_linear_in_the_weight_of_an_image(batch):
    head, metas = make(False), batch['img_metas']

    def losses(w):
        batch['img_metas'] = [{**metas[0], 'roi_head.loss_weight': w}, metas[1]]
        return {k: v.detach() for k, v in head.forward_train(**batch).items() if 'loss' in k}

    at0, at1, at10 = losses(0), losses(1), losses(10)
    for key in at0:
        assert at1[key] > at0[key] > 0, key
        torch.testing.assert_close(at10[key], at0[key] + 10 * (at1[key] - at0[key]), rtol=1e-4, atol=1e-6)


def test_stage_weight_scales_the_losses_of_its_stage(batch):
    one = make(stage_loss_weights=[1, 1]).forward_train(**batch)
    half = make(stage_loss_weights=[1, 0.5]).forward_train(**batch)
    torch.testing.assert_close(half['stage1_loss_iou'], one['stage1_loss_iou'] * 0.5)
    torch.testing.assert_close(half['stage0_loss_iou'], one['stage0_loss_iou'])


def test_targets_stand_in_the_order_of_the_proposals():
    head = build_head(copy.deepcopy(BOX))
    gts = torch.tensor([[1.0, 1, 2, 2], [3, 3, 4, 4]])
    targets = head._get_target_single(
        torch.tensor([3, 1]), torch.tensor([0]), None, None, gts, torch.tensor([2, 0]), ConfigDict(pos_weight=2), 5
    )
    labels, label_weights, bbox_targets, bbox_weights = targets
    assert labels.tolist() == [3, 0, 3, 2, 3]
    assert label_weights.tolist() == [1, 2, 0, 2, 0]  # rows 2 and 4 were not sampled
    assert bbox_targets[1].tolist() == [3, 3, 4, 4] and bbox_targets[3].tolist() == [1, 1, 2, 2]
    assert bbox_weights.sum(1).tolist() == [0, 4, 0, 4, 0]


def test_box_losses_by_hand():
    head = build_head(copy.deepcopy(BOX))
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    losses = head.loss(
        torch.tensor([[0.0, 5, 0], [9, 9, 9]]), boxes + torch.tensor([0, 0, 5, 0]), torch.tensor([1, 3]),
        torch.tensor([1.0, 0]), boxes, torch.tensor([[1.0] * 4, [0] * 4]), imgs_whwh=torch.tensor([[20.0, 10] * 2] * 2),
    )  # fmt: skip
    assert losses['pos_acc'] == 100
    assert losses['loss_bbox'].item() == pytest.approx(5 * 5 / 20)
    assert losses['loss_iou'].item() == pytest.approx(2 * (1 - 10 / 15), rel=1e-5)


def test_best_pairs_are_the_highest_scores_of_each_image():
    scores = torch.tensor([[[0.1, 0.9], [0.8, 0.2]], [[0.3, 0.0], [0.4, 0.7]]])
    best, rows, labels = best_pairs(scores, 3)
    np.testing.assert_allclose(best, [[0.9, 0.8, 0.2], [0.7, 0.4, 0.3]], rtol=1e-6)
    assert rows.tolist() == [[0, 1, 1], [1, 1, 0]] and labels.tolist() == [[1, 0, 1], [1, 0, 0]]
    assert best_pairs(scores, 100)[0].shape == (2, 4)


@pytest.mark.parametrize('rescale', [False, True])
def test_batch_inference_equals_image_by_image(rescale, batch):
    head = make().eval()
    keys = ('x', 'proposal_boxes', 'proposal_features', 'img_metas', 'imgs_whwh')
    both = head.simple_test(**{k: batch[k] for k in keys}, rescale=rescale)
    for i, (boxes, masks) in enumerate(both):
        one = {k: [f[i : i + 1] for f in batch[k]] if k == 'x' else batch[k][i : i + 1] for k in keys}
        ((one_boxes, one_masks),) = head.simple_test(**one, rescale=rescale)
        assert sum(map(len, boxes)) == 5 and [len(b) for b in boxes] == [len(m) for m in masks]
        for a, b in zip(boxes, one_boxes):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-2)
        assert {m.shape for m in sum(masks, [])} == {(48, 64) if rescale else (96, 128)}
        assert all((a == b).mean() > 0.99 for a, b in zip(sum(masks, []), sum(one_masks, [])))


def test_rescale_divides_the_boxes(batch):
    head = make(False).eval()
    args = [batch[k] for k in ('x', 'proposal_boxes', 'proposal_features', 'img_metas', 'imgs_whwh')]
    for small, large in zip(head.simple_test(*args, rescale=True)[0], head.simple_test(*args)[0]):
        np.testing.assert_allclose(small[:, :4] * 2, large[:, :4], rtol=1e-5)


def test_softmax_heads_leave_background_out(batch):
    head = make(False, bbox_head=dict(BOX, loss_cls=dict(type='CrossEntropyLoss')))
    assert head.bbox_head[0].fc_cls.out_features == 4
    assert head._scores(torch.zeros(1, 2, 4)).tolist() == [[[0.25] * 3] * 2]


def test_what_it_cannot_do_says_so(batch):
    with pytest.raises(NotImplementedError, match='several views'):
        make().aug_test([], [], [])
    with pytest.raises(TypeError, match=r'train_cfg\[0\].sampler.*PseudoSampler.*RandomSampler'):
        make(train_cfg=[dict(TRAIN, sampler=dict(type='RandomSampler', num=5, pos_fraction=0.5))] * 2)
    with pytest.raises(ValueError, match='init_cfg must be None'):
        build_head(dict(BOX, init_cfg=dict(type='Normal')))


def test_initial_scores_are_low():
    head = make()
    head.init_weights()
    assert head.bbox_head[1].fc_cls.bias.sigmoid().mean().item() == pytest.approx(0.01, rel=1e-4)
    assert (head.mask_head[0].conv_logits.bias == 0).all()


def test_dummy_pass_gives_predictions_of_all_stages(batch):
    outs = make().eval().forward_dummy(*[batch[k] for k in ('x', 'proposal_boxes', 'proposal_features', 'img_metas')])
    assert [out['cls_score'].shape for out in outs] == [(2, 4, 3)] * 2
    assert [out['mask_pred'].shape for out in outs] == [(8, 3, 6, 6)] * 2


def test_queries_go_from_stage_to_stage(batch):
    head = make(False)
    head.forward_train(**batch)['stage1_loss_cls'].backward()
    assert head.bbox_head[0].ffn_norm.weight.grad.abs().sum() > 0


def test_matching_sees_shares_of_the_image(batch, monkeypatch):
    head, seen = make(False), []
    for parameter in head.bbox_head[0].fc_reg.parameters():
        torch.nn.init.zeros_(parameter)  # the boxes stay as they were proposed
    assign = head.bbox_assigner[0].assign
    monkeypatch.setattr(
        head.bbox_assigner[0], 'assign', lambda boxes, *args: seen.append(boxes) or assign(boxes, *args)
    )
    head.forward_train(**batch)
    torch.testing.assert_close(seen[0][:2], torch.tensor([[0.5, 0.5, 1, 1], [34 / 128, 34 / 96, 52 / 128, 52 / 96]]))


EVERY = dict(type='recalibrate', score_thr=1e-9, warmup=0)  # every negative scores more


def test_query_head_of_the_user_s_own_is_weighted_like_the_one_of_the_tree(batch):
    own = HEADS.register_module(name='OwnQueryHead', module=type('OwnQueryHead', (DIIHead,), {}), force=True)
    batch.pop('gt_masks')
    batch['img_metas'] = [{**batch['img_metas'][0], 'roi_head.loss_weight': 3}, batch['img_metas'][1]]
    got, want = (
        make(with_mask=False, bbox_head=dict(BOX, type=kind + 'WithWeightPerImage')).forward_train(**batch)
        for kind in ('OwnQueryHead', 'DIIHead')
    )
    HEADS.module_dict.pop('OwnQueryHead')
    assert issubclass(own, DIIHead) and got == want


def test_what_an_image_says_of_negatives_holds_for_the_rows_that_are_negatives():
    head = make(with_mask=False).bbox_head[0]
    gts = [torch.tensor([[0.0, 0, 10, 9]])]
    res = PseudoSampler().sample(
        AssignResult(1, torch.tensor([0, 1, 0]), torch.zeros(3), torch.tensor([-1, 2, -1])),
        torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]]),
        torch.tensor([[0.0, 0, 10, 9]]),
        torch.tensor([2]),
    )
    cfg = ConfigDict(pos_weight=-1)
    metas = [{'bbox_head.negative_weight': 0.5}]
    labels, weights, _, boxes = head.get_targets([res], gts, None, cfg, img_metas=metas)
    assert labels.tolist() == [3, 2, 3] and weights.tolist() == [0.5, 1, 0.5] and boxes[:, 0].tolist() == [0, 1, 0]
    overlap = {'negatives': dict(type='overlap', floor=0.25), 'roi_head.loss_weight': 2}
    weights = head.get_targets([res], gts, None, cfg, img_metas=[overlap])[1]
    torch.testing.assert_close(weights, torch.tensor([2, 2, 0.5]), rtol=1e-3, atol=0)


@pytest.mark.parametrize('loss_cls', [BOX['loss_cls'], dict(type='CrossEntropyLoss', use_sigmoid=False)])
def test_scores_and_classes_of_negatives_are_heeded(loss_cls, batch):
    costs = dict(type='FocalLossCost' if loss_cls['type'] == 'FocalLoss' else 'ClassificationCost')
    assigner = dict(TRAIN['assigner'], cls_cost=costs)
    train = dict(train_cfg=[dict(TRAIN, assigner=assigner, sampler=dict(type='PseudoSampler'))] * 2)

    def run(fields):
        head = make(with_mask=False, bbox_head=dict(BOX, loss_cls=loss_cls), **train)
        inputs = {key: value for key, value in batch.items() if key != 'gt_masks'}
        inputs['img_metas'] = [{**batch['img_metas'][0], **fields}, batch['img_metas'][1]]
        return {key: value.detach() for key, value in head.forward_train(**inputs).items() if 'loss' in key}

    plain, none = run({}), run({'negatives': 'none'})
    some = run({'unlabeled_classes': [1]})
    for fields in ({'negatives': EVERY}, {'labeled_classes': []}):
        got = run(fields)
        for key, value in none.items():
            torch.testing.assert_close(got[key], value, msg=key)
    for key in plain:
        if key.endswith('loss_cls'):
            assert none[key] < some[key] < plain[key]
        else:
            assert none[key] == some[key] == plain[key]
