"""Heads of the zoo and the directives of images: weights, negatives, classes."""

import copy

import pytest
import torch
from zoo_cases_zoo2 import CASES, MASK_HEADS, SQUARES, STUDENTS

from mmdet.core.directives import IGNORE_NEGATIVES, LABELED_CLASSES, NEGATIVES, OBJECT_WEIGHTS, UNLABELED_CLASSES
from mmdet.models.builder import HEADS
from mmdet.models.directives import switch_directives_on

ALL = {**CASES, **MASK_HEADS}
EVERY = pytest.mark.parametrize('name', ALL)
BOXES = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [10, 1, 31, 26]])]
LABELS = [torch.tensor([1]), torch.tensor([0, 2])]
SHAPE = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), batch_input_shape=(32, 32), scale_factor=1.0)
WEIGHT = 'bbox_head.loss_weight'


def masks_of(boxes):
    masks = torch.zeros(len(boxes), 32, 32, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = True
    return masks


def run(name, *fields, objects=True, weighted=True):
    """(losses by name, gradients of both images' features, gradients of parameters, gradients of class maps)."""
    torch.manual_seed(0)
    cfg = dict(copy.deepcopy(ALL[name]), type=name)
    head = HEADS.build(switch_directives_on(cfg, dict(ignore_negatives=False), HEADS) if weighted else cfg).train()
    with torch.no_grad():
        for p in (p for p in head.parameters() if p.dim() > 1):
            p.copy_(torch.randn_like(p) * 0.2)
    generator = torch.Generator().manual_seed(1)
    feats = [torch.randn(2, 4, side, side, generator=generator).requires_grad_() for side in (4, 2)]
    metas = [{**SHAPE, **own} for own in fields]
    boxes = BOXES if objects else [torch.zeros(0, 4)] * 2
    labels = LABELS if objects else [torch.zeros(0, dtype=torch.long)] * 2
    outs = []
    hook = head.register_forward_hook(lambda module, args, out: outs.extend(out))
    if name in MASK_HEADS:
        losses = head.forward_train(feats, labels, [masks_of(b) for b in boxes], metas, gt_bboxes=boxes)
    else:
        extra = (STUDENTS[name](feats),) if name in STUDENTS else ()
        losses = head.forward_train(feats, *extra, metas, boxes, labels)
    hook.remove()
    scores = outs[-1 if name in MASK_HEADS and name != 'SOLOV2Head' else 1 if name == 'SOLOV2Head' else 0]
    for level in scores:
        level.retain_grad()
    losses = {k: sum(x.sum() for x in v) if isinstance(v, list) else v for k, v in losses.items()}
    sum(losses.values()).backward()
    losses = {k: v.detach() for k, v in losses.items()}
    images = torch.cat([x.grad.flatten(1) for x in feats], 1)
    return losses, images, [p.grad for p in head.parameters()], [level.grad for level in scores]


@EVERY
def test_losses_and_gradients_are_linear_in_the_weights(name):
    first, second = (run(name, {WEIGHT: v}, {WEIGHT: w}) for v, w in ((1, 0), (0, 1)))
    losses, images, grads, _ = run(name, {WEIGHT: 0.5}, {WEIGHT: 3})
    for key, value in losses.items():
        torch.testing.assert_close(value, 0.5 * first[0][key] + 3 * second[0][key], rtol=1e-4, atol=1e-6)
        assert first[0][key] > 0 and second[0][key] > 0, key
    torch.testing.assert_close(images[0], 0.5 * first[1][0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(images[1], 3 * second[1][1], rtol=1e-4, atol=1e-6)
    assert not first[1][1].any() and not second[1][0].any()
    for grad, a, b in zip(grads, first[2], second[2], strict=True):
        torch.testing.assert_close(grad, 0.5 * a + 3 * b, rtol=1e-3, atol=1e-5)


@EVERY
def test_at_weight_one_it_is_the_plain_head_bit_for_bit(name):
    plain = run(name, {}, {}, weighted=False)
    for fields in ({}, {WEIGHT: 1, NEGATIVES: 'all'}):
        got = run(name, fields, fields)
        assert got[0] == plain[0] and got[1].equal(plain[1])


@pytest.mark.parametrize('objects', [True, False])
@EVERY
def test_batch_without_weight_gives_zeros_that_reach_every_parameter(name, objects):
    losses, images, grads, _ = run(name, {WEIGHT: 0}, {WEIGHT: 0}, objects=objects)
    assert not any(losses.values()) and not images.any()
    assert all(grad is not None and not grad.any() for grad in grads)


@EVERY
def test_ignored_negatives_without_objects_give_attached_zeros(name):
    nothing = {NEGATIVES: 'none', IGNORE_NEGATIVES: 1}
    losses, _, grads, _ = run(name, nothing, nothing, objects=False)
    assert not any(losses.values())
    assert all(grad is not None and not grad.any() for grad in grads)


@EVERY
def test_policies_scale_the_negatives_of_their_image_and_nothing_else(name):
    plain, half, none = (run(name, {NEGATIVES: dict(type='soft', weight=w)}, {})[0] for w in (1, 0.5, 0))
    assert plain['loss_cls'] > half['loss_cls'] > none['loss_cls'] > 0
    torch.testing.assert_close(half['loss_cls'], (plain['loss_cls'] + none['loss_cls']) / 2)
    by_policy = run(name, {NEGATIVES: 'none'}, {})[0]
    for key in plain:
        torch.testing.assert_close(by_policy[key], none[key])
        assert key == 'loss_cls' or plain[key] == half[key] == none[key]
    recalibrated = run(name, {NEGATIVES: dict(type='recalibrate', score_thr=1e-9, warmup=0)}, {})[0]
    torch.testing.assert_close(recalibrated['loss_cls'], none['loss_cls'])


@pytest.mark.parametrize('name', CASES)
def test_losses_are_linear_in_the_weights_of_the_objects(name):
    def losses(*of_second, weighted=False):
        metas = [{OBJECT_WEIGHTS: torch.ones(1)}, {OBJECT_WEIGHTS: torch.tensor(of_second)}]
        return run(name, *metas, weighted=weighted)[0]

    plain, ones, first, both = run(name, {}, {}, weighted=False)[0], losses(1.0, 1), losses(3.0, 1), losses(3.0, 3)
    second, no_boxes = losses(1.0, 3), losses([1.0, 0], [1, 0])
    for key, value in plain.items():
        torch.testing.assert_close(ones[key], value)
        torch.testing.assert_close(first[key] + second[key], both[key] + value)
        assert (first[key], second[key]) != (value, value), key
        assert key == 'loss_cls' or no_boxes[key] < value
    assert no_boxes['loss_cls'] == ones['loss_cls']
    torch.testing.assert_close(losses(1.0, 3, weighted=True), second)  # directives change nothing of it


@pytest.mark.parametrize('name', MASK_HEADS)
def test_heads_that_cannot_tell_the_objects_of_their_rows_refuse_their_weights_by_name(name):
    with pytest.raises(ValueError, match=f'gt_weights: {name} cannot tell'):
        run(name, {}, {OBJECT_WEIGHTS: torch.ones(2)}, weighted=False)


@pytest.mark.parametrize('name', ['VFNetHead', 'PAAHead', 'LADHead', *MASK_HEADS])
def test_heads_without_sampler_read_ignored_negatives_themselves(name):
    assert run(name, {IGNORE_NEGATIVES: 1}, {})[0] == run(name, {NEGATIVES: 'none'}, {})[0] != run(name, {}, {})[0]


@EVERY
def test_negatives_are_evidence_against_the_labelled_classes_alone(name):
    plain, got = run(name, {}, {})[3], run(name, {UNLABELED_CLASSES: [1]}, {})[3]
    changed = 0
    for a, b in zip(plain, got):
        assert a[:, [0, 2]].equal(b[:, [0, 2]]) and a[1].equal(b[1])
        touched = a[0, 1] != b[0, 1]
        assert not b[0, 1][touched].any()
        changed += int(touched.sum())
    assert changed > 0
    want = run(name, {NEGATIVES: 'none'}, {})[0]
    for key, value in run(name, {LABELED_CLASSES: []}, {})[0].items():
        torch.testing.assert_close(value, want[key])


def test_tood_in_its_first_epochs_is_linear_as_well():
    ALL['early'] = dict(CASES['TOODHead'], train_cfg=dict(CASES['TOODHead']['train_cfg'], initial_epoch=1))
    ALL['TOODHead'], kept = ALL.pop('early'), ALL['TOODHead']
    try:
        test_losses_and_gradients_are_linear_in_the_weights('TOODHead')
        test_negatives_are_evidence_against_the_labelled_classes_alone('TOODHead')
    finally:
        ALL['TOODHead'] = kept


def test_ascend_head_gives_the_losses_of_the_plain_head():
    plain = dict(CASES['AscendRetinaHead'], anchor_generator=SQUARES)
    plain['train_cfg'] = dict(plain['train_cfg'], assigner=dict(plain['train_cfg']['assigner'], type='MaxIoUAssigner'))
    got = run('AscendRetinaHead', {}, {})[0]
    ALL['RetinaHead'] = plain
    try:
        assert run('RetinaHead', {}, {})[0] == got
    finally:
        del ALL['RetinaHead']
