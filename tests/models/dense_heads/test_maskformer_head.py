"""Heads of MaskFormer and Mask2Former: losses by hand, targets, directives, sources, results."""

import copy
import math

import pytest
import torch
from zoo_cases_zoo3 import CASES, masks_of

from mmdet.core.directives import (
    IGNORE_NEGATIVES,
    LABELED_CLASSES,
    NEGATIVES,
    UNLABELED_CLASSES,
    loss_weight_key,
    negative_weight_key,
)
from mmdet.models.builder import HEADS
from mmdet.models.directives import switch_directives_on
from mmdet.models.source_log import SourceLog

HEAD = pytest.mark.parametrize('name', CASES)
BOXES = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [10, 1, 31, 26]])]
LABELS = [torch.tensor([1]), torch.tensor([0, 1])]
STUFF = torch.full((2, 1, 32, 32), 2)
STUFF[:, :, :16] = 255  # the lower half is stuff
SHAPE = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), batch_input_shape=(32, 32), ori_shape=(32, 32, 3))
WEIGHT, OF_NEGATIVES = loss_weight_key('bbox_head'), negative_weight_key('bbox_head')
LAYERS = dict(MaskFormerHead=2, Mask2FormerHead=3)  # the queries of Mask2Former predict before its decoder as well


@pytest.fixture(autouse=True)
def points_of_one_grid(monkeypatch):
    """Random points do not depend on how many images or masks were before."""

    def rand(*size, device=None):
        shape = torch.Size(size[0] if isinstance(size[0], tuple) else size)
        grid = torch.arange(1, shape[1:].numel() + 1).mul(0.618034).remainder(1.0)
        return grid.view(shape[1:]).expand(shape).to(device)

    monkeypatch.setattr(torch, 'rand', rand)


def make(name, weighted=True, **changes):
    cfg = copy.deepcopy(dict(CASES[name], type=name)) | changes
    torch.manual_seed(0)
    head = HEADS.build(switch_directives_on(cfg, {}, HEADS) if weighted else cfg).train()
    with torch.no_grad():
        for p in (p for p in head.parameters() if p.dim() > 1):
            p.copy_(torch.randn_like(p) * 0.3)
    return head


def maps(number=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(number, 4, side, side, generator=generator) for side in (4, 2)]


class Ran:
    """Losses, and gradients of both images' features, of the parameters and of the class scores of all layers."""

    def __init__(self, name, *fields, objects=True, stuff=True, weighted=True):
        head = make(name, weighted)
        feats = [feat.requires_grad_() for feat in maps()]
        boxes = BOXES if objects else [torch.zeros(0, 4)] * 2
        labels = LABELS if objects else [torch.zeros(0, dtype=torch.long)] * 2
        outs = []  # one tensor of all layers, or one a layer
        take = outs.extend if name == 'Mask2FormerHead' else outs.append
        head.register_forward_hook(lambda module, args, out: take(out[0]))
        metas = [{**SHAPE, **own} for own in fields]
        losses = head.forward_train(feats, metas, boxes, labels, list(map(masks_of, boxes)), STUFF if stuff else None)
        for scores in outs:
            scores.retain_grad()
        sum(losses.values()).backward()
        self.losses = {key: value.detach() for key, value in losses.items()}
        self.images = torch.cat([feat.grad.flatten(1) for feat in feats], 1)
        self.grads = [p.grad for p in head.parameters()]
        self.scores = torch.cat([scores.grad.view(-1, 2, 6, 4) for scores in outs])  # (layers, N, Q, K + 1)

    @property
    def of_classes(self):
        return sum(value for key, value in self.losses.items() if key.endswith('loss_cls'))

    @property
    def of_masks(self):
        return {key: value for key, value in self.losses.items() if not key.endswith('loss_cls')}


@HEAD
def test_training_gives_losses_of_all_layers_and_reaches_every_parameter(name):
    ran = Ran(name, {}, {})
    prefixes = ['', *(f'd{layer}.' for layer in range(LAYERS[name] - 1))]
    assert set(ran.losses) == {p + n for p in prefixes for n in ('loss_cls', 'loss_mask', 'loss_dice')}
    assert all(value > 0 for value in ran.losses.values())
    assert all(grad is not None and grad.isfinite().all() for grad in ran.grads)


def flat_case(name):
    """Two queries, K = 3, logits of zero; one object covers a quarter of the image."""
    head = make(name, weighted=False)
    masks = torch.zeros(1, 4, 4, dtype=torch.long)
    masks[0, :2, :2] = 1
    preds = torch.zeros(1, 2, 4, 4)
    return head, (torch.zeros(1, 2, 4), preds, [torch.tensor([2])], [masks], [SHAPE])


def test_losses_of_a_layer_by_hand_pixels():
    head, args = flat_case('MaskFormerHead')
    loss_cls, loss_mask, loss_dice = head.loss_single(*args)
    assert loss_cls.item() == pytest.approx(math.log(4))  # (1 log 4 + 0.1 log 4) / (1 + 0.1)
    # focal loss of a probability of 1/2: alpha / 4 log 2, alpha 1/4 for 4 pixels and 3/4 for 12
    assert loss_mask.item() == pytest.approx((4 * 0.25 + 12 * 0.75) / 4 * math.log(2) / 16)
    assert loss_dice.item() == pytest.approx(1 - (2 * 0.5 * 4 + 1) / (16 * 0.5 + 4 + 1))


def test_losses_of_a_layer_by_hand_points():
    head, args = flat_case('Mask2FormerHead')
    loss_cls, loss_mask, loss_dice = head.loss_single(*args)
    assert loss_cls.item() == pytest.approx(math.log(4))
    assert loss_mask.item() == pytest.approx(math.log(2))  # at every point
    _, targets = head._loss_masks(args[1][0, :1], args[3][0])
    inside = targets.sum().item()  # bilinear at the object's edge
    assert targets.shape == (1, 64) and 0 < inside < 64
    assert loss_dice.item() == pytest.approx(1 - (inside + 1) / (32 + inside + 1))


@HEAD
def test_targets_follow_the_matching(name):
    head, (scores, _, labels, masks, metas) = flat_case(name)
    preds = torch.full((2, 4, 4), -9.0)
    preds[1, :2, :2] = 9.0  # the second query has the object's mask
    got = head.get_targets(scores, [preds], labels, masks, metas)
    assert [part[0].tolist() for part in got[:2]] == [[3, 2], [1, 1]]
    assert got[2][0].equal(masks[0]) and got[3][0].tolist() == [0, 1] and got[4:] == (1, 1)


def test_masks_span_the_padded_batch():
    head = make('MaskFormerHead')
    metas = [dict(SHAPE, pad_shape=(32, 32, 3), batch_input_shape=(40, 48))] * 2
    semantic = torch.full((2, 1, 40, 48), 255)
    semantic[1, :, 36:] = 2
    labels, masks = head.preprocess_gt(LABELS, list(map(masks_of, BOXES)), semantic, metas)
    assert [part.tolist() for part in labels] == [[1], [0, 1, 2]]
    assert [tuple(part.shape) for part in masks] == [(1, 40, 48), (3, 40, 48)]
    assert masks[0].sum() == 17 * 19 and masks[1][2].sum() == 4 * 48


@HEAD
def test_losses_and_gradients_are_linear_in_the_weights(name):
    first, second = (Ran(name, {WEIGHT: v}, {WEIGHT: w}) for v, w in ((1, 0), (0, 1)))
    ran = Ran(name, {WEIGHT: 0.5}, {WEIGHT: 3})
    for key, value in ran.losses.items():
        torch.testing.assert_close(value, 0.5 * first.losses[key] + 3 * second.losses[key], rtol=1e-4, atol=1e-6)
        assert first.losses[key] > 0 and second.losses[key] > 0, key
    torch.testing.assert_close(ran.images[0], 0.5 * first.images[0], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(ran.images[1], 3 * second.images[1], rtol=1e-3, atol=1e-6)
    assert not first.images[1].any() and not second.images[0].any()
    for grad, a, b in zip(ran.grads, first.grads, second.grads, strict=True):
        torch.testing.assert_close(grad, 0.5 * a + 3 * b, rtol=1e-3, atol=1e-5)


@HEAD
def test_weight_of_the_mask_head_counts_where_there_is_none_of_the_box_head(name):
    want = Ran(name, {WEIGHT: 2}, {}).losses
    assert Ran(name, {loss_weight_key('mask_head'): 2}, {}).losses == want != Ran(name, {}, {}).losses
    assert Ran(name, {loss_weight_key('mask_head'): 5, WEIGHT: 2}, {}).losses == want


@HEAD
def test_at_weight_one_it_is_the_plain_head_bit_for_bit(name):
    plain = Ran(name, {}, {}, weighted=False)
    for fields in ({}, {WEIGHT: 1, NEGATIVES: 'all'}):
        ran = Ran(name, fields, fields)
        assert ran.losses == plain.losses and ran.images.equal(plain.images)


@HEAD
@pytest.mark.parametrize('objects', [True, False])
def test_batch_without_weight_gives_zeros_that_reach_every_parameter(name, objects):
    ran = Ran(name, {WEIGHT: 0}, {WEIGHT: 0}, objects=objects, stuff=objects)
    assert not any(ran.losses.values()) and not ran.images.any()
    assert all(grad is not None and not grad.any() for grad in ran.grads)


@HEAD
def test_images_without_ground_truth_learn_no_masks(name):
    ran = Ran(name, {}, {}, objects=False, stuff=False)
    assert not any(ran.of_masks.values()) and ran.of_classes > 0
    assert all(grad is not None and grad.isfinite().all() for grad in ran.grads)
    nothing = Ran(name, {IGNORE_NEGATIVES: 1}, {IGNORE_NEGATIVES: 1}, objects=False, stuff=False)
    assert not any(nothing.losses.values())
    assert all(grad is not None and not grad.any() for grad in nothing.grads)


@HEAD
def test_policies_scale_the_queries_without_object_and_nothing_else(name):
    plain, half, none = (Ran(name, {OF_NEGATIVES: w}, {}) for w in (1, 0.5, 0))
    assert plain.of_classes > half.of_classes > none.of_classes > 0
    torch.testing.assert_close(half.of_classes, (plain.of_classes + none.of_classes) / 2)
    every = dict(type='recalibrate', score_thr=1e-9, warmup=0)  # every negative scores more
    for fields in ({IGNORE_NEGATIVES: 1}, {NEGATIVES: 'none'}, {NEGATIVES: every}, {LABELED_CLASSES: []}):
        torch.testing.assert_close(Ran(name, fields, {}).losses, none.losses)
    overlap = Ran(name, {NEGATIVES: dict(type='overlap', steepness=3)}, {})
    assert none.of_classes < overlap.of_classes < plain.of_classes
    assert plain.of_masks == half.of_masks == none.of_masks == overlap.of_masks


@HEAD
def test_queries_without_object_are_evidence_against_the_labelled_classes_alone(name):
    plain, some, none = (Ran(name, {UNLABELED_CLASSES: c}, {}) for c in ([], [1], [0, 1, 2]))
    assert plain.of_classes > some.of_classes > none.of_classes
    assert plain.losses == Ran(name, {}, {}).losses
    for a, b in zip(plain.scores, some.scores):
        negative = a[0, :, 3] < 0  # the gradient pushes "no object" up
        assert a[1].equal(b[1]) and a[0, ~negative].equal(b[0, ~negative])
        assert (b[0, negative, 1] < 0).all() and (a[0, negative, 1] > 0).all()


@HEAD
def test_losses_fall_into_parts_of_sources(name):
    owners = ['real', 'synthetic']

    def parts_of(weights):
        head = make(name)
        log = SourceLog(torch.nn.ModuleDict(dict(panoptic_head=head)), [*owners, 'absent'])
        metas = [{**SHAPE, 'source': owner, WEIGHT: w} for owner, w in zip(owners, weights)]
        with log.recording(metas):
            losses = head.forward_train(maps(), metas, BOXES, LABELS, list(map(masks_of, BOXES)), STUFF)
        names, values = log.entries(losses)
        return {key: value.item() for key, value in losses.items()}, dict(zip(names, values.tolist()))

    totals, parts = parts_of((1, 1))
    weighted = parts_of((0.5, 3))[1]
    for key, total in totals.items():
        real, synthetic, absent = (parts[f'{key}/{source}'] for source in (*owners, 'absent'))
        assert real + synthetic == pytest.approx(total, rel=1e-5) and real > 0 < synthetic and absent == 0
        assert weighted[f'{key}/real'] == pytest.approx(0.5 * real, rel=1e-4)
        assert weighted[f'{key}/synthetic'] == pytest.approx(3 * synthetic, rel=1e-4)
    # 2 and 3 of 6 queries are matched: the objects, and one class of stuff in each image
    assert [parts[f'{kind}/{source}'] for kind in ('pos', 'neg') for source in owners] == [2, 3, 4, 3]


@HEAD
def test_results_are_on_the_padded_batch(name):
    head = make(name).eval()
    metas = [dict(SHAPE, img_shape=(30, 20, 3))] * 2
    scores, masks = head.simple_test(maps(), metas)
    assert scores.shape == (2, 6, 4) and masks.shape == (2, 6, 32, 32)
    with pytest.raises(NotImplementedError, match='which predict masks'):
        head.aug_test([maps()], [metas])


def test_padding_is_hidden_from_the_queries_of_maskformer():
    head = make('MaskFormerHead').eval()
    head.pixel_decoder.encoder_in_proj = torch.nn.Conv2d(4, 8, 1)
    feats = maps(1)
    changed = [feat.clone() for feat in feats]
    changed[1][..., 1] += 5  # the right half of the coarsest map is padding
    with torch.no_grad():
        for width, same in ((16, True), (32, False)):
            metas = [dict(SHAPE, img_shape=(32, width, 3))]
            assert torch.allclose(head(feats, metas)[0], head(changed, metas)[0], atol=1e-6) == same


def test_queries_of_mask2former_look_inside_of_their_masks_only():
    head = make('Mask2FormerHead').eval()
    query = torch.randn(6, 1, 8)
    features = torch.randn(1, 8, 4, 4)
    _, masks, hidden = head.forward_head(query, features, (4, 4))
    outside = masks[0].flatten(1) < 0
    outside[outside.all(1)] = False
    assert hidden.shape == (2, 6, 16) and hidden[0].equal(outside) and hidden[1].equal(outside)


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('MaskFormerHead', dict(loss_cls=dict(type='CrossEntropyLoss', class_weight=[1.0] * 3)), 'class_weight'),
        ('MaskFormerHead', dict(loss_cls=dict(type='CrossEntropyLoss')), 'class_weight'),
        ('Mask2FormerHead', dict(num_transformer_feat_level=3), 'gives 2 maps'),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, changes, message):
    with pytest.raises(ValueError, match=message):
        make(name, **changes)


@HEAD
def test_misspelt_arguments_are_refused(name):
    with pytest.raises(TypeError, match="does not take 'num_query'; did you mean 'num_queries'"):
        make(name, num_query=6)


@HEAD
def test_ignored_regions_are_refused(name):
    with pytest.raises(NotImplementedError, match='gt_bboxes_ignore'):
        make(name).forward_train(maps(), [SHAPE] * 2, BOXES, LABELS, [], None, [torch.zeros(1, 4)] * 2)


def test_projection_stands_where_it_is_enforced():
    head = make('Mask2FormerHead', enforce_decoder_input_project=True)
    assert [tuple(layer.weight.shape) for layer in head.decoder_input_projs] == [(8, 8, 1, 1)] * 2
    plain = dict(type='PixelDecoder', norm_cfg=None)
    head = make('MaskFormerHead', pixel_decoder=plain)
    assert head.decoder_input_proj.weight.shape == (8, 4, 1, 1)  # from the backbone's own map
    head.init_weights()
    assert not head.decoder_input_proj.bias.any()
    assert head(maps(), [SHAPE] * 2)[1].shape == (2, 2, 6, 4, 4)
