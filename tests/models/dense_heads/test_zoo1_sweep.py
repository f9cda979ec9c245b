"""The heads of ``zoo_cases_zoo1`` and the directives of images; each assertion for all of them."""

import copy

import pytest
import torch
from torch import nn
from zoo_cases_zoo1 import CASES, LEVELS, OF_NEGATIVES, OF_PAIRS

from mmdet.core.directives import IGNORE_NEGATIVES, LABELED_CLASSES, NEGATIVES, UNLABELED_CLASSES
from mmdet.models.builder import HEADS
from mmdet.models.directives import SUFFIX
from mmdet.models.source_log import SourceLog

BOXES = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [10, 1, 31, 26]])]
LABELS = [torch.tensor([1]), torch.tensor([0, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
SHAPE = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), scale_factor=[1.0] * 4, border=(0, 32, 0, 32))
SHAPE['batch_input_shape'] = (32, 32)
WEIGHT, OF_NEGATIVE = 'bbox_head.loss_weight', 'bbox_head.negative_weight'
HEAD = pytest.mark.parametrize('name', CASES)


def make(name, weighted=True):
    torch.manual_seed(0)
    head = HEADS.build(copy.deepcopy(dict(CASES[name], type=name + SUFFIX * weighted)))
    with torch.no_grad():
        for p in (p for p in head.parameters() if p.dim() > 1):
            p.copy_(torch.randn_like(p) * 0.2)
    head.train()
    for layer in (m for m in head.modules() if isinstance(m, nn.BatchNorm2d)):
        layer.eval()  # batch statistics would mix the images
    return head


def maps(name, num=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(num, 4, side, side, generator=generator) for side in (4, 2)][: LEVELS.get(name, 2)]


def total(value):
    return sum(part.sum() for part in value) if isinstance(value, (list, tuple)) else value.sum()


class Ran:
    """Losses by name, gradients of the two images' features, and of the parameters."""

    def __init__(self, head, name, fields, objects=True):
        head.zero_grad(set_to_none=True)
        feats = [level.requires_grad_() for level in maps(name)]
        metas = [{**SHAPE, **own} for own in fields]
        truth = (BOXES, LABELS) if objects else ([NOTHING] * 2, [NO_LABELS] * 2)
        losses = {k: total(v) for k, v in head.forward_train(feats, metas, *truth).items() if 'loss' in k}
        sum(losses.values()).backward()
        self.images = torch.cat([level.grad.flatten(1) for level in feats], 1)
        self.grads = {key: p.grad for key, p in head.named_parameters() if p.requires_grad}
        self.losses = {key: value.detach() for key, value in losses.items()}
        self.of_negatives = self.losses[OF_NEGATIVES[name]]


def run(name, *fields, **kwargs):
    return Ran(make(name), name, fields, **kwargs)


def close(got, want, **tolerance):
    for key in want:
        torch.testing.assert_close(got[key], want[key], msg=lambda text, key=key: f'{key}: {text}', **tolerance)


@HEAD
def test_losses_and_gradients_are_linear_in_the_weights_and_the_other_image_is_left_alone(name):
    first, second = (run(name, {WEIGHT: v}, {WEIGHT: w}) for v, w in ((1, 0), (0, 1)))
    for v, w in ((0.5, 1), (2, 0.5)):
        got = run(name, {WEIGHT: v}, {WEIGHT: w})
        close(got.losses, {k: v * one + w * second.losses[k] for k, one in first.losses.items()}, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got.images[0], v * first.images[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got.images[1], w * second.images[1], rtol=1e-4, atol=1e-5)
        close(got.grads, {k: v * a + w * second.grads[k] for k, a in first.grads.items()}, rtol=1e-3, atol=1e-4)
    assert not first.images[1].any() and not second.images[0].any()
    assert first.images[0].any() and second.images[1].any()
    assert all(value > 0 for key, value in second.losses.items() if key not in OF_PAIRS), second.losses


@HEAD
def test_without_directives_and_at_weight_one_it_is_the_plain_head_bit_for_bit(name):
    plain = Ran(make(name, weighted=False), name, [{}, {}])
    for fields in ([{}, {}], [{WEIGHT: 1}, {OF_NEGATIVE: 1, NEGATIVES: 'all'}]):
        got = run(name, *fields)
        assert got.losses == plain.losses
        assert got.images.equal(plain.images)
        assert all(grad.equal(plain.grads[key]) for key, grad in got.grads.items())


@pytest.mark.parametrize('objects', [True, False])
@HEAD
def test_batch_without_weight_gives_zeros_that_reach_every_parameter(name, objects):
    got = run(name, {WEIGHT: 0}, {WEIGHT: 0}, objects=objects)
    assert not any(got.losses.values()) and not got.images.any()
    assert all(grad is not None and not grad.any() for grad in got.grads.values())


@HEAD
def test_batch_that_ignores_all_negatives_and_has_no_objects_gives_attached_zeros(name):
    nothing = {NEGATIVES: 'none', IGNORE_NEGATIVES: 1}
    got = run(name, nothing, nothing, objects=False)
    assert not any(got.losses.values())
    assert all(grad is not None and not grad.any() for grad in got.grads.values())


@HEAD
def test_batch_without_objects_trains_the_negatives_alone_and_reaches_every_parameter(name):
    got = run(name, {}, {}, objects=False)
    assert got.of_negatives > 0
    assert all(value == 0 for key, value in got.losses.items() if key != OF_NEGATIVES[name]), got.losses
    assert all(grad is not None and grad.isfinite().all() for grad in got.grads.values())


@HEAD
def test_policies_scale_the_negatives_of_their_image_and_nothing_else(name):
    plain, half, none = (run(name, {OF_NEGATIVE: w}, {}) for w in (1, 0.5, 0))
    assert plain.of_negatives > half.of_negatives > none.of_negatives
    torch.testing.assert_close(half.of_negatives, (plain.of_negatives + none.of_negatives) / 2)
    soft = dict(type='soft', weight=0.5)
    close(run(name, {NEGATIVES: soft}, {}).losses, half.losses)
    every = dict(type='recalibrate', score_thr=1e-9, warmup=0)  # every negative scores more
    by_score, by_policy = (run(name, {NEGATIVES: policy}, {}) for policy in (every, 'none'))
    torch.testing.assert_close(by_score.of_negatives, none.of_negatives)
    torch.testing.assert_close(by_policy.of_negatives, none.of_negatives)
    assert run(name, {IGNORE_NEGATIVES: 1}, {}).losses == run(name, {NEGATIVES: 'none'}, {}).losses
    overlap = run(name, {NEGATIVES: dict(type='overlap', steepness=3)}, {})
    assert none.of_negatives < overlap.of_negatives < plain.of_negatives
    for got in (by_score, by_policy, overlap, half):
        close(got.losses, {key: value for key, value in plain.losses.items() if key != OF_NEGATIVES[name]})


@HEAD
def test_image_of_which_no_class_is_labelled_has_negatives_without_evidence(name):
    close(run(name, {LABELED_CLASSES: []}, {}).losses, run(name, {OF_NEGATIVE: 0}, {}).losses)
    close(run(name, {LABELED_CLASSES: [0, 1, 2]}, {}).losses, run(name, {}, {}).losses)


@HEAD
def test_an_unlabelled_class_takes_some_of_the_evidence(name):
    none, some, every = (run(name, {UNLABELED_CLASSES: c}, {}).of_negatives for c in ([0, 1, 2], [0, 1], []))
    assert none <= some < every


class Detector(nn.Module):
    """What the log looks for: a head in its slot."""

    def __init__(self, name):
        super().__init__()
        self.bbox_head = make(name, weighted=False)


@HEAD
def test_parts_of_sources_add_up(name):
    model = Detector(name)
    log = SourceLog(model, ['real', 'synthetic'])
    metas = [dict(SHAPE, source='real'), dict(SHAPE, source='synthetic')]
    with log.recording(metas):
        losses = model.bbox_head.forward_train(maps(name), metas, BOXES, LABELS)
    names, values = log.entries(losses)
    entries = dict(zip(names, values.tolist()))
    for key in (key for key in losses if 'loss' in key):
        parts = [entries[f'{key}/{source}'] for source in ('real', 'synthetic')]
        whole = float(total(losses[key]).detach())
        assert sum(parts) == pytest.approx(whole, rel=1e-4, abs=1e-6), key
        assert key in OF_PAIRS or all(part > 0 for part in parts), (key, parts)


@HEAD
def test_images_are_tested_alike_alone_and_in_a_batch(name):
    head = make(name, weighted=False).eval()
    with torch.no_grad():
        both = head.simple_test(maps(name), [dict(SHAPE)] * 2)
        alone = head.simple_test([level[1:] for level in maps(name)], [dict(SHAPE)])
    for got, want in zip(both[1], alone[0]):
        torch.testing.assert_close(got, want)
    assert all(dets.size(1) == 5 and len(dets) == len(labels) for dets, labels in both)
    assert name.startswith('C') or len(both[0][0]) > 0  # few pairs of random corners are boxes
