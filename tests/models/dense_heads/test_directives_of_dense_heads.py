"""Every dense head and the directives of images: weights, negatives, classes; each assertion for all of them."""

import copy

import pytest
import torch
from test_source_parts_of_dense_heads import BOXES, BY_IOU, CASES, FOCAL, GUIDED, LABELS, LEVELS, PLAIN
from zoo_cases_zoo1 import CASES as SWEPT_1
from zoo_cases_zoo2 import CASES as SWEPT_2
from zoo_cases_zoo3 import CASES as SWEPT_3

from mmdet.core.directives import (
    IGNORE_NEGATIVES,
    LABELED_CLASSES,
    NEGATIVES,
    UNLABELED_CLASSES,
    loss_weight_key,
    negative_weight_key,
    negatives_key,
)
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.directives import SUFFIX, switch_directives_on, unsupported_reason
from mmdet.models.utils.directive_report import directive_readers

ASCEND = dict(type='AscendMaxIoUAssigner', pos_iou_thr=0.2, neg_iou_thr=0.2, min_pos_iou=0.0)
ON_ANCHORS = dict(PLAIN, anchor_generator=LEVELS, train_cfg=BY_IOU)
PER_IMAGE = {
    name: dict(settings, type=settings.get('type', name))
    for name, settings in CASES.items()
    if name not in ('FSAFHead', 'FreeAnchorRetinaHead')
} | dict(
    AnchorHead={**ON_ANCHORS, 'type': 'AnchorHead', 'loss_cls': FOCAL},
    softmax={**ON_ANCHORS, 'type': 'AnchorHead', 'loss_cls': dict(type='CrossEntropyLoss', use_sigmoid=False)},
    AscendAnchorHead={
        **ON_ANCHORS, 'type': 'AscendAnchorHead', 'loss_cls': FOCAL, 'train_cfg': dict(BY_IOU, assigner=ASCEND),
    },
    AscendSSDHead=CASES['SSDHead']
    | dict(type='AscendSSDHead', train_cfg=dict(CASES['SSDHead']['train_cfg'], assigner=ASCEND)),
    RPNHead=dict(type='RPNHead', in_channels=4, feat_channels=4, anchor_generator=LEVELS, train_cfg=BY_IOU),
    GuidedAnchorHead=dict(GUIDED, type='GuidedAnchorHead', num_classes=3, loss_cls=FOCAL),
    RetinaSepBNHead=dict(ON_ANCHORS, type='RetinaSepBNHead', num_ins=2, loss_cls=FOCAL, norm_cfg=dict(type='BN')),
)  # fmt: skip
for name in ('AnchorHead', 'softmax', 'AscendAnchorHead'):
    PER_IMAGE[name].pop('stacked_convs')
PROPOSERS = ('GARPNHead', 'CascadeRPNHead', 'RPNHead')
SIGMOID = [
    n for n in PER_IMAGE if n not in (*PROPOSERS, 'softmax', 'SSDHead', 'PISASSDHead', 'AscendSSDHead', 'DETRHead')
]
POINTS = ('FCOSHead', 'FoveaHead')
MIXING = ('RetinaSepBNHead', 'PISARetinaHead', 'PISASSDHead')  # by a norm of the batch, by the mean of loss_carl
EVERY = dict(type='recalibrate', score_thr=1e-9, warmup=0)  # every negative scores more
HEAD = pytest.mark.parametrize('name', PER_IMAGE)
GTS, CLASSES = BOXES[::2], LABELS[::2]
SHAPE = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), batch_input_shape=(32, 32), scale_factor=1.0)
built = {}


def slot(name):
    return 'rpn_head' if name in PROPOSERS else 'bbox_head'


def weight(name, value):
    return {loss_weight_key(slot(name)): value}


def of_negatives(name, value):
    return {negative_weight_key(slot(name)): value}


def make(name, weighted=True):
    cfg = PER_IMAGE[name]
    torch.manual_seed(0)
    cfg = switch_directives_on(cfg, dict(ignore_negatives=False), HEADS) if weighted else copy.deepcopy(cfg)
    head = HEADS.build(cfg)
    with torch.no_grad():
        for p in (p for p in head.parameters() if p.dim() > 1):
            p.copy_(torch.randn_like(p) * 0.2)
    return head.train()


class Ran:
    """Losses, gradients of the two images' features, of the parameters, and of the class scores (rows, C)."""

    def __init__(self, head, name, fields, objects=True):
        head.zero_grad(set_to_none=True)
        channels = 8 if name == 'DeformableDETRHead' else 4
        generator = torch.Generator().manual_seed(1)
        self.feats = [torch.randn(2, channels, side, side, generator=generator).requires_grad_() for side in (4, 2)]
        metas = [{**SHAPE, **own} for own in fields]
        gts = GTS if objects else [BOXES[1]] * 2
        truth = (gts,) if name in PROPOSERS else (gts, CLASSES if objects else [LABELS[1]] * 2)
        outputs = []
        hook = head.register_forward_hook(lambda module, args, out: outputs.append(out[0]))
        losses = head.forward_train(self.feats[:1] if name == 'DETRHead' else self.feats, metas, *truth)
        hook.remove()
        self.scores = outputs if name == 'DeformableDETRHead' else outputs[0] if outputs else []
        for level in self.scores:
            level.retain_grad()
        self.losses = {k: total(v) for k, v in losses.items() if 'loss' in k}
        sum(self.losses.values()).backward()
        self.images = torch.cat([level.grad.flatten(1) for level in self.feats if level.grad is not None], 1)
        self.grads = [p.grad for p in head.parameters() if p.requires_grad]
        self.losses = {key: value.detach() for key, value in self.losses.items()}

    @property
    def of_classes(self):
        return sum(value for key, value in self.losses.items() if key.endswith(('loss_cls', 'rpn_cls')))


def total(value):
    return sum(part.sum() for part in value) if isinstance(value, (list, tuple)) else value.sum()


def run(name, *fields, **kwargs):
    if name not in built:
        built[name] = make(name)
    return Ran(built[name], name, fields, **kwargs)


def close(got, want, **tolerance):
    for key in want:
        torch.testing.assert_close(got[key], want[key], msg=lambda text, key=key: f'{key}: {text}', **tolerance)


def test_every_dense_head_is_here_or_says_why_it_cannot_weigh_images():
    dense = {n for n, head in HEADS.module_dict.items() if isinstance(head, type) and issubclass(head, BaseDenseHead)}
    dense = {n for n in dense if HEADS.get(n).__module__.startswith('mmdet.models.dense_heads') and 'PerImage' not in n}
    reasons = {n: unsupported_reason(HEADS.get(n)) for n in dense}
    able = {n for n, reason in reasons.items() if reason is None}
    assert able - {*PER_IMAGE, *SWEPT_1, *SWEPT_2, *SWEPT_3} == {
        'StageCascadeRPNHead',  # which is there as two stages
        'YOLACTHead',  # in test_zoo_detectors
    }
    refused = {n: reason for n, reason in reasons.items() if reason is not None}
    assert set(refused) == {'FSAFHead', 'FreeAnchorRetinaHead', 'CascadeRPNHead', 'AnchorFreeHead'}
    assert 'weights would change that choice' in refused['FSAFHead']
    assert 'bags of anchors of the whole batch' in refused['FreeAnchorRetinaHead']
    assert 'those of its stages' in refused['CascadeRPNHead']
    assert 'it is abstract' in refused['AnchorFreeHead']
    assert 'has no loss' in unsupported_reason(HEADS.get('EmbeddingRPNHead'))


@HEAD
def test_losses_and_gradients_are_linear_in_the_weights_and_the_other_image_is_left_alone(name):
    first, second = (run(name, weight(name, v), weight(name, w)) for v, w in ((1, 0), (0, 1)))
    for v, w in ((0.5, 1), (2, 0.5)):
        got = run(name, weight(name, v), weight(name, w))
        close(got.losses, {k: v * one + w * second.losses[k] for k, one in first.losses.items()}, rtol=1e-4, atol=1e-5)
        if name not in MIXING:
            torch.testing.assert_close(got.images[0], v * first.images[0], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(got.images[1], w * second.images[1], rtol=1e-4, atol=1e-6)
            assert not first.images[1].any() and not second.images[0].any()
            assert first.images[0].any() and second.images[1].any()
        for grad, a, b in zip(got.grads, first.grads, second.grads):
            torch.testing.assert_close(grad, v * a + w * b, rtol=1e-3, atol=1e-4)
    assert all(value > 0 for value in second.losses.values())


@HEAD
def test_without_directives_and_at_weight_one_it_is_the_plain_head_bit_for_bit(name):
    plain = Ran(make(name, weighted=False), name, [{}, {}])
    for fields in ([{}, {}], [weight(name, 1), {**of_negatives(name, 1), NEGATIVES: 'all'}]):
        got = run(name, *fields)
        assert got.losses == plain.losses
        assert got.images.equal(plain.images)
        assert all(a.equal(b) for a, b in zip(got.grads, plain.grads, strict=True))


@pytest.mark.parametrize('objects', [True, False])
@HEAD
def test_batch_without_weight_gives_zeros_that_reach_every_parameter(name, objects):
    got = run(name, weight(name, 0), weight(name, 0), objects=objects)
    assert not any(got.losses.values()) and not got.images.any()
    assert all(grad is not None and not grad.any() for grad in got.grads)


@HEAD
def test_batch_that_ignores_all_negatives_and_has_no_objects_gives_attached_zeros(name):
    nothing = {NEGATIVES: 'none', IGNORE_NEGATIVES: 1}
    got = run(name, nothing, nothing, objects=False)
    assert not any(got.losses.values())
    assert all(grad is not None and not grad.any() for grad in got.grads)


@HEAD
def test_policies_scale_the_negatives_of_their_image_and_nothing_else(name):
    plain, half, none = (run(name, of_negatives(name, w), {}) for w in (1, 0.5, 0))
    assert plain.of_classes > half.of_classes > none.of_classes
    torch.testing.assert_close(half.of_classes, (plain.of_classes + none.of_classes) / 2)
    soft = dict(type='soft', weight=0.5)
    for fields in ({NEGATIVES: soft}, {negatives_key(slot(name)): soft}):
        close(run(name, fields, {}).losses, half.losses)
    by_score, by_policy = (run(name, {negatives_key(slot(name)): policy}, {}) for policy in (EVERY, 'none'))
    torch.testing.assert_close(by_score.of_classes, none.of_classes)
    torch.testing.assert_close(by_policy.of_classes, none.of_classes)
    overlap = run(name, {NEGATIVES: dict(type='overlap', steepness=3)}, {})
    assert none.of_classes < overlap.of_classes < plain.of_classes
    for got in (by_score, by_policy, overlap, half):
        boxes = {key: value for key, value in plain.losses.items() if 'cls' not in key and 'loc' not in key}
        close(got.losses, boxes)


@HEAD
def test_image_of_which_no_class_is_labelled_has_negatives_without_evidence(name):
    evidence = 0 if slot(name) == 'bbox_head' else 1  # a first stage knows no classes
    got, want = run(name, {LABELED_CLASSES: []}, {}), run(name, of_negatives(name, evidence), {})
    if not name.startswith('G'):  # guided anchors: places are no classes
        close(got.losses, want.losses)
    torch.testing.assert_close(got.of_classes, want.of_classes)


def by_class(values, name):
    """A map (N, A * 3, H, W), or those of the layers of a decoder (layers, N, Q, 3), as (N, rows, 3)."""
    if name == 'DeformableDETRHead':
        return values.transpose(0, 1).flatten(1, 2)
    return values.permute(0, 2, 3, 1).unflatten(3, (-1, 3)).flatten(1, 3)


@pytest.mark.parametrize('name', SIGMOID)
def test_negatives_are_evidence_against_the_labelled_classes_alone(name):
    """The gradients of the scores: none for the unlabelled class of negatives, all others as without the directive."""
    plain, got = run(name, {}, {}), run(name, {UNLABELED_CLASSES: [1]}, {})
    changed = 0
    for a, b in zip(plain.scores, got.scores):
        a, b = (by_class(level.grad, name) for level in (a, b))
        others = [0, 2]
        assert a[..., others].equal(b[..., others]) and a[1].equal(b[1])
        touched = a[0, :, 1] != b[0, :, 1]
        assert not b[0, touched, 1].any()
        changed += int(touched.sum())
    assert changed > 0


@pytest.mark.parametrize('name', ['softmax', 'SSDHead', 'PISASSDHead', 'AscendSSDHead', 'DETRHead'])
def test_softmax_counts_the_unlabelled_classes_as_background(name):
    plain, some, none = (run(name, {UNLABELED_CLASSES: c}, {}).of_classes for c in ([], [1], [0, 1, 2]))
    assert plain > some > none
    assert plain == run(name, {}, {}).of_classes


@pytest.mark.parametrize('name', POINTS)
def test_points_read_ignored_negatives_themselves(name):
    want = run(name, of_negatives(name, 0), {}).losses
    assert run(name, {IGNORE_NEGATIVES: 1}, {}).losses == want != run(name, {IGNORE_NEGATIVES: 0}, {}).losses
    (reader,) = directive_readers(torch.nn.Sequential(built[name]))
    assert IGNORE_NEGATIVES in reader.keys and LABELED_CLASSES in reader.keys
    assert reader.says == (
        'bbox_head.loss_weight, else rpn_head.loss_weight (negatives alike), ignore_negatives, '
        'labeled_classes or unlabeled_classes'
    )


def test_points_inside_an_object_are_negatives_that_are_known():
    head = built.get('FCOSHead') or make('FCOSHead')
    points = [torch.tensor([[4.0, 4], [12, 4], [20, 4]])]
    labels = torch.tensor([1, 3, 3])
    gts = [torch.tensor([[0.0, 0, 16, 8]])]
    fields = {NEGATIVES: dict(type='overlap', floor=0.25), **weight('FCOSHead', 2)}
    targets = head.weigh_points(labels, torch.ones(3, 4), points, gts, [fields])
    torch.testing.assert_close(targets.label_weights, torch.tensor([2, 2, 0.5]))
    assert targets.bbox_weights[:, 0].tolist() == [2, 2, 2]


def test_points_belong_to_the_images_of_their_levels():
    head = built.get('FCOSHead') or make('FCOSHead')
    points = [torch.zeros(2, 2), torch.zeros(1, 2)]
    metas = [weight('FCOSHead', 2), weight('FCOSHead', 3)]
    targets = head.weigh_points(torch.zeros(6).long(), torch.ones(6, 4), points, GTS, metas)
    assert targets.label_weights.tolist() == [2, 2, 3, 3, 2, 3]  # level after level


class OwnTargets(HEADS.get('AnchorHead')):
    """Leaves every second anchor out, in a method of its own that knows of no weights."""

    def _get_targets_single(self, *args, **kwargs):
        labels, label_weights, *rest = super()._get_targets_single(*args, **kwargs)
        label_weights[::2] = 0
        return (labels, label_weights, *rest)


class OwnPointTargets(HEADS.get('FCOSHead')):
    """Takes no point of the second class."""

    def _get_target_single(self, gt_bboxes, gt_labels, **kwargs):
        labels, distances = super()._get_target_single(gt_bboxes, gt_labels, **kwargs)
        return labels.masked_fill(labels == 1, self.num_classes), distances


@pytest.mark.parametrize(('own', 'like'), [(OwnTargets, 'AnchorHead'), (OwnPointTargets, 'FCOSHead')])
def test_head_of_the_user_with_targets_of_its_own_has_weights_by_inheritance(own, like):
    HEADS.register_module(module=own, force=True)
    name = own.__name__
    PER_IMAGE[name] = dict(PER_IMAGE[like], type=name)
    try:
        head = make(name)
        assert type(head).__mro__[1] is own and type(head).__name__ == name + SUFFIX
        plain, first, second = (run(name, weight(name, v), weight(name, w)) for v, w in ((1, 1), (1, 0), (0, 1)))
        assert plain.losses['loss_cls'] != Ran(make(like), like, [{}, {}]).losses['loss_cls']
        got = run(name, weight(name, 3), weight(name, 0.5))
        close(got.losses, {k: 3 * first.losses[k] + 0.5 * second.losses[k] for k in got.losses}, rtol=1e-4, atol=1e-5)
        none = run(name, {NEGATIVES: 'none'}, {NEGATIVES: 'none'})
        assert none.of_classes < plain.of_classes
    finally:
        del PER_IMAGE[name]
        HEADS.module_dict.pop(name)


def test_encoder_of_two_stages_knows_no_classes():
    head = built.get('DeformableDETRHead') or make('DeformableDETRHead')
    torch.manual_seed(2)
    predictions = [torch.randn(1, 2, 5, 3), torch.rand(1, 2, 5, 4), torch.randn(2, 7, 3), torch.rand(2, 7, 4)]
    plain, of_classes, none = (
        head.loss(*predictions, GTS, CLASSES, [{**SHAPE, **fields}, SHAPE])
        for fields in ({}, {LABELED_CLASSES: []}, {NEGATIVES: 'none'})
    )
    assert plain['enc_loss_cls'] == of_classes['enc_loss_cls'] > none['enc_loss_cls']
    torch.testing.assert_close(of_classes['loss_cls'], none['loss_cls'])
    assert plain['loss_cls'] > none['loss_cls']
