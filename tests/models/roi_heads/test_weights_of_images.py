"""Each loss of each RoI head is linear in the weights of the images, with the one switch of a model's config."""

import copy

import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from test_cascade_roi_head import BOX, EXTRACTOR, MASK, POOL
from test_cascade_roi_head import HEADS as FAMILY
from test_mask_scoring_roi_head import RENDING, SCORING, TRAIN

from mmdet.core.directives import (
    LABELED_CLASSES,
    NEGATIVES,
    UNLABELED_CLASSES,
    loss_weight_key,
    negative_weight_key,
)
from mmdet.core.mask import BitmapMasks
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import HEADS, build_head
from mmdet.models.directives import switch_directives_on, unsupported_reason
from mmdet.models.roi_heads.keypoint_heads import KeypointTargets
from mmdet.models.utils.directive_report import directive_readers

BOXES = dict(bbox_roi_extractor=EXTRACTOR, bbox_head=BOX)
MASKS = dict(mask_roi_extractor=EXTRACTOR, mask_head=MASK)
SABL = dict(
    type='SABLHead', num_classes=3, cls_in_channels=4, reg_in_channels=4, roi_feat_size=3, cls_out_channels=8,
    reg_offset_out_channels=8, reg_cls_out_channels=8,
    bbox_coder=dict(type='BucketingBBoxCoder', num_buckets=6, scale_factor=1.7),
)  # fmt: skip
POINT_HEAD = dict(
    type='FCNKeypointHead',
    num_keypoints=5,
    num_convs=1,
    roi_feat_size=3,
    in_channels=4,
    conv_out_channels=4,
    skeleton='shape',
)
POINTS = dict(type='KeypointRoIHead', keypoint_roi_extractor=EXTRACTOR, keypoint_head=POINT_HEAD)
CASES = dict(
    FAMILY,
    standard=dict(BOXES, type='StandardRoIHead', **MASKS),
    shared=dict(BOXES, type='StandardRoIHead', mask_head=MASK),
    sabl=dict(BOXES, type='StandardRoIHead', bbox_head=SABL),
    double=dict(
        type='DoubleHeadRoIHead',
        reg_roi_scale_factor=1.3,
        bbox_roi_extractor=dict(EXTRACTOR, roi_layer=dict(POOL, output_size=3)),
        bbox_head=dict(
            type='DoubleConvFCBBoxHead', num_convs=1, num_fcs=1, in_channels=4, conv_out_channels=8,
            fc_out_channels=8, roi_feat_size=3, num_classes=3,
        ),
    ),
    pisa=dict(BOXES, type='PISARoIHead', **MASKS),
    scoring=dict(BOXES, **SCORING),
    rendering=dict(BOXES, **RENDING),
    trident=dict(BOXES, type='TridentRoIHead', num_branch=1, test_branch_idx=0),
    keypoint_visible=dict(BOXES, **POINTS),
    keypoint_static={**BOXES, **MASKS, **POINTS, 'keypoint_head': dict(POINT_HEAD, loss_normaliser='static')},
)  # fmt: skip


@pytest.fixture
def run(roi_batch, rcnn_cfg):
    """``run(name, meta of the first image, ..., of the second)``: losses, gradients of features and of parameters.

    ``run.losses(...)`` gives the losses alone, on their graph.
    """
    roi_batch.pop('gt_extra_labels')
    roi_batch['gt_semantic_seg'] = torch.arange(2 * 12 * 16).reshape(2, 1, 12, 16) % 5
    heads = {}

    def build(name, weights=True):
        train_cfg, test_cfg = rcnn_cfg
        train_cfg.sampler.type = 'RandomSampler'  # none that drops negatives, so that heads have to weigh them
        train_cfg = {
            **train_cfg,
            **TRAIN,
            'mask_thr_binary': -9,
            'pos_radius': 1,
            'mask_size': dict(scoring=8, rendering=2).get(name, 6),
        }
        train_cfg['dynamic_rcnn'] = dict(
            iou_topk=3, beta_topk=2, update_iter_interval=100, initial_iou=0.4, initial_beta=1.0
        )
        cfg = {**CASES[name], 'test_cfg': test_cfg}
        cfg['train_cfg'] = [train_cfg] * cfg['num_stages'] if 'num_stages' in cfg else train_cfg
        torch.manual_seed(0)
        head = build_head(ConfigDict(switch_directives_on(cfg, dict(weights=weights, ignore_negatives=False), HEADS)))
        with torch.no_grad():
            for p in (p for p in head.parameters() if p.dim() > 1):
                p.copy_(torch.randn_like(p) * 0.3)
        return head

    def forward(head, name, first, second, objects=True):
        batch = copy.deepcopy(roi_batch)
        batch['x'] = [level.requires_grad_() for level in batch['x']]
        if not objects:
            batch.update(gt_bboxes=[torch.zeros(0, 4)] * 2, gt_labels=[torch.zeros(0).long()] * 2)
        batch['gt_masks'] = [
            BitmapMasks(np.ones((len(b), 96, 128), dtype=np.uint8), 96, 128) for b in batch['gt_bboxes']
        ]
        if name.startswith('keypoint'):
            batch['gt_keypoints'] = [points_of(boxes) for boxes in batch['gt_bboxes']]
        batch['img_metas'] = [{**meta, **own} for meta, own in zip(batch['img_metas'], (first, second))]
        torch.manual_seed(1)  # the grid head jitters, the point head draws points
        return {key: value.sum() for key, value in head.forward_train(**batch).items() if 'loss' in key}, batch['x']

    def once(name, first, second, objects=True, plain=False):
        head = build(name, weights=False) if plain else once.head(name)
        head.zero_grad(set_to_none=True)
        losses, maps = forward(head, name, first, second, objects)
        sum(losses.values()).backward()
        feats = torch.cat([level.grad.flatten(1) for level in maps], 1)
        return {k: v.detach() for k, v in losses.items()}, feats, [p.grad for p in head.parameters()]

    once.losses = lambda name, *args, **kwargs: forward(once.head(name), name, *args, **kwargs)[0]
    once.head = lambda name: heads[name] if name in heads else heads.setdefault(name, build(name))
    return once


def points_of(boxes):
    """(g, 5, 3): five points in boxes (g, 4), a hidden one and one that is not labelled among them."""
    places = torch.tensor([[0.2, 0.2], [0.8, 0.2], [0.7, 0.8], [0.1, 0.9], [0.5, 0.5]])
    xy = boxes[:, None, :2] + places * (boxes[:, 2:] - boxes[:, :2])[:, None]
    return torch.cat([xy, torch.tensor([2.0, 1, 2, 0, 2])[:, None].expand(len(boxes), 5, 1)], dim=2)


def weight(value, head='roi_head'):
    return {loss_weight_key(head): value}


@pytest.mark.parametrize('name', CASES)
def test_all_losses_and_gradients_are_linear_in_the_weight_of_each_image(name, run):
    (a, feats_a, grads_a), (b, feats_b, grads_b) = run(name, weight(1), weight(0)), run(name, weight(0), weight(1))
    plain = run(name, {}, {})
    got, feats, grads = run(name, weight(0.5), weight(10))
    for key in got:
        torch.testing.assert_close(a[key] + b[key], plain[0][key], rtol=1e-4, atol=1e-6, msg=key)
        torch.testing.assert_close(got[key], 0.5 * a[key] + 10 * b[key], rtol=1e-4, atol=1e-5, msg=key)
        assert a[key] + b[key] > 0, key
    torch.testing.assert_close(feats, 0.5 * feats_a + 10 * feats_b, rtol=1e-3, atol=1e-5)
    if name != 'double':  # whose batch norm mixes the images
        assert not feats_a[1].any() and not feats_b[0].any()
    for grad, one, two in zip(grads, grads_a, grads_b):
        torch.testing.assert_close(grad, 0.5 * one + 10 * two, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', CASES)
def test_weight_of_one_is_the_plain_head_bit_for_bit(name, run):
    plain = run(name, {}, {}, plain=True)
    ones = {**weight(1), negative_weight_key('roi_head'): 1, NEGATIVES: 'all'}
    for fields in ({}, ones):
        got = run(name, fields, fields)
        assert got[0] == plain[0] and got[1].equal(plain[1])
        assert all(a.equal(b) for a, b in zip(got[2], plain[2], strict=True))


def test_every_head_of_rois_is_in_a_case_or_shares_the_code_of_one():
    heads = {name for name, head in HEADS.module_dict.items() if '.roi_heads.' in getattr(head, '__module__', '')}
    weighted = {name for name in heads if unsupported_reason(HEADS.get(name)) is None}
    here = {part for part in weighted if f"'{part}'" in repr(CASES)}
    elsewhere = {'DIIHead', 'DynamicMaskHead'}  # test_sparse_roi_head.py
    kin = {'BBoxHead', 'ConvFCBBoxHead', 'Shared4Conv1FCBBoxHead', 'VGGBBoxHead', 'SoftTargetFCNMaskHead'}
    assert weighted - here - elsewhere == kin
    reasons = {name: unsupported_reason(HEADS.get(name)) for name in heads - weighted}
    assert 'has no loss' in reasons['FeatureRelayHead']
    others = (
        'reads the weights of the images already',
        'does not name the head whose directives it reads',
        'it has no loss of its own',
        'cannot weigh images: it has no loss',
    )
    assert all(any(other in reason for other in others) for reason in reasons.values()), reasons


@pytest.mark.parametrize('objects', [True, False])
@pytest.mark.parametrize('name', CASES)
def test_weight_zero_for_all_gives_zeros_that_reach_every_parameter(name, objects, run):
    losses, feats, grads = run(name, weight(0), weight(0), objects=objects)
    assert not any(losses.values()) and not feats.any()
    assert all(grad is not None and not grad.any() for grad in grads)


@pytest.mark.parametrize('name', ['standard', 'cascade_mask', 'scnet', 'scoring', 'rendering'])
def test_mask_losses_have_a_weight_of_their_own(name, run):
    plain, masks = run(name, {}, {})[0], run(name, weight(3, 'mask_head'), weight(3, 'mask_head'))[0]
    of_masks = {key for key in plain if 'mask' in key or 'point' in key}
    assert of_masks
    for key in plain:
        torch.testing.assert_close(masks[key], plain[key] * (3 if key in of_masks else 1), msg=key)


def test_mask_weight_goes_before_that_of_the_roi_head(run):
    both = {**weight(0), **weight(2, 'mask_head')}
    losses, plain = run('standard', both, both)[0], run('standard', {}, {})[0]
    torch.testing.assert_close(losses['loss_mask'], 2 * plain['loss_mask'])
    assert losses['loss_cls'] == 0


@pytest.mark.parametrize('name', ['keypoint_visible', 'keypoint_static'])
def test_keypoint_loss_has_a_weight_of_its_own_before_that_of_the_roi_head(name, run):
    plain, own = run(name, {}, {})[0], run(name, weight(3, 'keypoint_head'), weight(3, 'keypoint_head'))[0]
    for key in plain:
        torch.testing.assert_close(own[key], plain[key] * (3 if key == 'loss_keypoint' else 1), msg=key)
    both = {**weight(0), **weight(2, 'keypoint_head')}
    losses = run(name, both, both)[0]
    torch.testing.assert_close(losses['loss_keypoint'], 2 * plain['loss_keypoint'])
    assert losses['loss_cls'] == losses['loss_bbox'] == 0


@pytest.mark.parametrize('name', ['keypoint_visible', 'keypoint_static'])
def test_keypoint_weight_of_one_changes_no_bit(name, run):
    plain, ones = run(name, {}, {}), run(name, weight(1, 'keypoint_head'), weight(1, 'keypoint_head'))
    assert plain[0] == ones[0] and torch.equal(plain[1], ones[1])
    assert all(torch.equal(a, b) for a, b in zip(plain[2], ones[2]))


def test_keypoints_of_one_image_are_weighted_by_hand():
    head = build_head(dict(POINT_HEAD, type='FCNKeypointHeadWithWeightPerImage'))
    (reader,) = directive_readers(torch.nn.Sequential(head))
    assert reader.says == 'keypoint_head.loss_weight, else roi_head.loss_weight'
    valid = torch.tensor([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    rows = torch.zeros(3, 5, 4, 4), KeypointTargets(torch.zeros(3, 5).long(), valid)
    loss = loss_of_rows(head, [2, 0, 1], [weight(0.5), weight(7), weight(2, 'keypoint_head')], *rows)['loss_keypoint']
    assert loss.item() == pytest.approx((0.5 * 3 + 2 * 5) / 8 * torch.tensor(16.0).log().item())


class OwnMean(torch.nn.Module):
    """A head of the user's own, over RoIs, whose loss takes no weights."""

    directive_head, directive_fallback = 'keypoint_head', 'roi_head'
    weighs_images = True

    def loss(self, pred, targets):
        return ((pred - targets) ** 2).mean()


class OwnWeightedMean(OwnMean):
    """The same with weights."""

    def loss(self, pred, targets, weights=None):
        squares = (pred - targets) ** 2
        return (squares if weights is None else squares * weights).mean()


def test_loss_of_the_user_takes_weights_of_rows_or_is_refused():
    rows = torch.tensor([1.0, 2, 3]), torch.zeros(3)
    metas = [weight(2), weight(0.5)]
    assert loss_of_rows(OwnWeightedMean(), [1, 2], metas, *rows).item() == pytest.approx((2 + 0.5 * 4 + 0.5 * 9) / 3)
    with pytest.raises(TypeError, match=r'OwnMean.loss takes no weights.*loss\(\.\.\., weights=None\)'):
        loss_of_rows(OwnMean(), [1, 2], metas, *rows)
    for head in (OwnMean(), type('Off', (OwnMean,), dict(weighs_images=False))()):
        images = [{}, {}] if head.weighs_images else metas
        assert loss_of_rows(head, [1, 2], images, *rows).item() == pytest.approx(14 / 3)
    without_name = type('Plain', (torch.nn.Module,), dict(loss=OwnMean.loss))()
    assert loss_of_rows(without_name, [1, 2], metas, *rows).item() == pytest.approx(14 / 3)
    assert 'does not name the head whose directives it reads' in unsupported_reason(type(without_name))


@pytest.mark.parametrize(('head', 'key'), [('semantic_head', 'loss_semantic_seg'), ('glbctx_head', 'loss_glbctx')])
def test_branches_of_whole_images_have_weights_of_their_own(head, key, run):
    plain, weighted = run('scnet', {}, {})[0], run('scnet', weight(0, head), weight(0, head))[0]
    assert weighted.pop(key) == 0 < plain.pop(key)
    assert weighted == plain


def test_image_without_objects_has_no_part_in_the_mask_loss(rcnn_cfg):
    head = build_head(dict(MASK, type='FCNMaskHeadWithWeightPerImage'))
    rows = torch.randn(3, 3, 4, 4), torch.ones(3, 4, 4), torch.tensor([0, 1, 2])
    metas = [weight(5), weight(2), {}]
    got = loss_of_rows(head, [0, 2, 1], metas, *rows)['loss_mask']
    single = [head.loss(*(row[i : i + 1] for row in rows))['loss_mask'] for i in range(3)]
    torch.testing.assert_close(got, (2 * single[0] + 2 * single[1] + single[2]) / 3)


def test_judged_masks_alone_count_in_the_mean_of_the_mask_iou_head():
    head = build_head(
        dict(SCORING['mask_iou_head'], type='MaskIoUHeadWithWeightPerImage', loss_iou=dict(type='MSELoss'))
    )
    pred, target = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.5, 0.0, 0.9])
    loss = loss_of_rows(head, [2, 1], [weight(4), weight(0)], pred, target)['loss_mask_iou']
    assert loss.item() == pytest.approx(4 * 0.25 / 2)


@pytest.mark.parametrize(('avg_non_ignore', 'want'), [(False, 3 / 4), (True, 1.0)])
def test_ignored_pixels_are_left_out_of_an_image_s_part_where_the_mean_leaves_them_out(avg_non_ignore, want):
    """Image 0 has one pixel of two; both images have a loss of log 2 a pixel, weights 1 and 3 ... of 4 or 3 pixels."""
    loss_seg = dict(type='CrossEntropyLoss', ignore_index=255, avg_non_ignore=avg_non_ignore)
    head = build_head(
        dict(type='FusedSemanticHeadWithWeightPerImage', num_ins=1, fusion_level=0, in_channels=2, num_convs=0,
             conv_out_channels=2, num_classes=2, loss_seg=loss_seg)
    )  # fmt: skip
    labels = torch.tensor([[0, 255], [1, 0]]).reshape(2, 1, 1, 2)
    loss = loss_of_rows(head, [1, 1], [weight(0), weight(1.5)], torch.zeros(2, 2, 1, 2), labels)
    assert loss.item() == pytest.approx(want * torch.tensor(2.0).log().item())


NEVER = dict(type='recalibrate', score_thr=1e-9, warmup=0)  # every negative scores more


@pytest.mark.parametrize('name', CASES)
def test_negatives_have_a_weight_and_nothing_else_of_the_losses_changes(name, run):
    half, none = ({negative_weight_key('roi_head'): w} for w in (0.5, 0.0))
    plain, at_half, at_none = (run(name, meta, {})[0] for meta in ({}, half, none))
    of_classes = {key for key in plain if key.endswith('loss_cls')}
    assert of_classes
    for key in plain:
        torch.testing.assert_close(at_half[key], (plain[key] + at_none[key]) / 2, msg=key)
        assert (plain[key] > at_none[key] + 1e-4) == (key in of_classes), key


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('directive', [{NEGATIVES: NEVER}, {NEGATIVES: 'none'}, {LABELED_CLASSES: []}], ids=str)
def test_negatives_that_prove_nothing_are_as_if_they_had_no_weight(name, directive, run):
    losses, feats, grads = run(name, directive, {})
    want_losses, want_feats, want_grads = run(name, {negative_weight_key('roi_head'): 0}, {})
    for key in losses:
        torch.testing.assert_close(losses[key], want_losses[key], msg=key)
    torch.testing.assert_close(feats, want_feats, rtol=1e-3, atol=1e-5)
    for got, want in zip(grads, want_grads):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('directive', [{NEGATIVES: 'overlap'}, {UNLABELED_CLASSES: [0]}], ids=str)
def test_policies_lie_between_all_and_nothing_and_weights_multiply_them(directive, run):
    plain, some, none = (run('standard', meta, {})[0] for meta in ({}, directive, {NEGATIVES: 'none'}))
    assert none['loss_cls'] < some['loss_cls'] < plain['loss_cls']
    tripled, alone = ({**directive, **weight(w)} for w in (3, 0))
    both = (run('standard', meta, {})[0]['loss_cls'] for meta in (tripled, alone))
    torch.testing.assert_close(next(both), 3 * some['loss_cls'] - 2 * next(both))


def test_image_without_objects_and_with_soft_negatives(run):
    soft = {NEGATIVES: dict(type='soft', weight=0.25)}
    losses = [run('cascade', meta, meta, objects=False)[0] for meta in ({}, soft)]
    for key, value in losses[0].items():
        torch.testing.assert_close(losses[1][key], 0.25 * value, msg=key)
