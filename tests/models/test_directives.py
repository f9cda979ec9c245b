"""Directives in models: names, constructors and errors of the heads with weights, and the switch in a config."""

import copy
import inspect
import pickle

import pytest
import torch
from mmcv import Config, ConfigDict

from mmdet.core.directives import loss_weight_key
from mmdet.models import directives
from mmdet.models.builder import HEADS, build_detector
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.custom_rpn_head import RPNHeadWithWeightPerImage
from mmdet.models.directives import (
    SUFFIX,
    directives_of,
    switch_directives_on,
    unsupported_reason,
)

NAMES = [name for name, head in sorted(HEADS.module_dict.items()) if unsupported_reason(head) is None]
FOCAL = dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True))
SOFTMAX = dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))
# the heads whose arguments differ are swept in tests/models/dense_heads
ARGS = dict(RetinaHead=[FOCAL | dict(stacked_convs=1)], AnchorHead=[FOCAL, SOFTMAX, {}], RPNHead=[{}, SOFTMAX])
SETTINGS = dict(
    in_channels=4,
    feat_channels=4,
    anchor_generator=dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[8]),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
        sampler=dict(type='RandomSampler', num=1000, pos_fraction=0.5, add_gt_as_proposals=False),
        allowed_border=-1,
        pos_weight=-1,
    ),
)
RANDOM = dict(type='RandomSampler', num=8, pos_fraction=0.5)
ASSIGNER = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4)
TWO_STAGE = ConfigDict(
    type='MaskRCNN',
    backbone=dict(type='ResNet', depth=18),
    rpn_head=dict(type='RPNHead'),
    roi_head=dict(
        type='StandardRoIHead', bbox_head=[dict(type='mmdet.SABLHead')], mask_head=dict(type='FCNMaskHead'),
        extra_bbox_head=dict(type='BBoxHead'),
    ),
    train_cfg=dict(
        rpn=dict(assigner=ASSIGNER, sampler=RANDOM),
        rcnn=[dict(sampler=dict(type='CombinedSampler', pos_sampler=RANDOM, neg_sampler=RANDOM))],
    ),
)  # fmt: skip
ONE_STAGE = dict(
    type='RetinaNet',
    backbone=dict(type='ResNet', depth=18, out_indices=(3,)),
    bbox_head=dict(
        type='RetinaHead', num_classes=2, in_channels=512, feat_channels=4, stacked_convs=1,
        anchor_generator=dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[32]),
    ),
    train_cfg=dict(assigner=ASSIGNER, allowed_border=-1, pos_weight=-1),
    test_cfg=dict(),
)  # fmt: skip
SHAPES = dict(img_shape=(24, 32, 3), pad_shape=(24, 32, 3))
OBJECTS = [torch.tensor([[3.0, 4, 12, 13]]), torch.tensor([[4.0, 3, 13, 12], [17, 4, 26, 11]])]


@pytest.mark.parametrize('name', NAMES)
def test_every_head_has_a_version_with_weights_of_the_same_arguments(name):
    head, plain = HEADS.get(name + SUFFIX), HEADS.get(name)
    assert issubclass(head, plain) and head.weighs_images and head.__name__ == name + SUFFIX
    assert not getattr(plain, 'weighs_images', False)
    assert HEADS.get(name + SUFFIX) is head is HEADS.get(f'mmdet.{name}{SUFFIX}')
    assert str(inspect.signature(head)) == str(inspect.signature(plain))
    assert pickle.loads(pickle.dumps(head)) is head


def test_written_classes_are_the_ones_that_the_names_give():
    assert HEADS.get('RPNHeadWithWeightPerImage') is RPNHeadWithWeightPerImage
    assert directives.RetinaHeadWithWeightPerImage is HEADS.get('RetinaHeadWithWeightPerImage')


@pytest.mark.parametrize(
    ('name', 'error', 'message'),
    [
        ('RetinaHedWithWeightPerImage', KeyError, "did you mean 'RetinaHeadWithWeightPerImage'"),
        ('RetinaHeadWithWeigthPerImage', KeyError, "did you mean 'RetinaHeadWithWeightPerImage'"),
        (
            'FPNWithWeightPerImage',
            TypeError,
            r'FPN \(in mmdet.models.necks.fpn\) cannot weigh images: it does not name the head',
        ),
        ('CascadeRoIHeadWithWeightPerImage', TypeError, 'name its bbox_head, mask_head or keypoint_head so'),
        ('RPNHeadWithWeightPerImageWithWeightPerImage', TypeError, 'reads the weights of the images already'),
    ],
)
def test_names_without_a_class_are_explained(name, error, message):
    with pytest.raises(error, match=message):
        HEADS.build(dict(type=name))
    with pytest.raises(AttributeError, match='no attribute'):
        directives.__getattr__('NoHead')


def test_head_of_the_user_s_own_has_a_version_and_a_new_one_after_registering_anew():
    class OfUser(AnchorHead):
        pass

    HEADS.register_module(name='OfUser', module=OfUser, force=True)
    first = HEADS.get('OfUserWithWeightPerImage')
    assert first.__mro__[1] is OfUser and first.weighs_images
    HEADS.register_module(name='OfUser', module=type('OfUser', (AnchorHead,), {}), force=True)
    assert HEADS.get('OfUserWithWeightPerImage') is not first


class NoNumbers:
    """Not a head."""

    loss = None


def test_message_for_a_class_that_names_no_head_has_the_line_to_add():
    assert "Say directive_head = 'bbox_head'" in unsupported_reason(NoNumbers)
    assert unsupported_reason(len) == 'is no class'


def test_head_in_the_slot_of_a_first_stage_reads_its_keys(small_config):
    config = small_config('faster_rcnn')
    config['rpn_head'] = dict(
        small_config('retinanet')['bbox_head'], type='RetinaHeadWithWeightPerImage', num_classes=1
    )
    assert directives_of(build_detector(config).rpn_head).names == ('rpn_head',)
    alone = build_detector(dict(small_config('retinanet'), directives={}))
    assert directives_of(alone.bbox_head).names == ('bbox_head', 'rpn_head')


def test_directives_of_a_head_are_its_own():
    kind = HEADS.get('AnchorHead' + SUFFIX)
    one, other = (kind(num_classes=2, **copy.deepcopy(SETTINGS)) for _ in range(2))
    assert directives_of(one) is directives_of(one) is not directives_of(other)
    assert directives_of(one).enabled and not directives_of(AnchorHead(2, 4, 4)).enabled
    one.follow_iter(7)
    assert directives_of(one).iteration == 7 and directives_of(other).iteration is None


@pytest.mark.parametrize(('name', 'args'), [(name, args) for name in ARGS for args in ARGS[name]])
def test_dense_head_is_linear_in_the_weight_of_each_image(name, args):
    cfg = copy.deepcopy(SETTINGS) | args
    if name != 'RPNHead':
        cfg['num_classes'] = 2
    torch.manual_seed(0)
    head = HEADS.build(dict(type=name + SUFFIX, **cfg))
    values = torch.randn(2, 4, 3, 4)

    def run(*weights):
        head.zero_grad(set_to_none=True)
        feats = values.clone().requires_grad_()
        metas = [{**SHAPES, loss_weight_key('rpn_head'): w} for w in weights]
        labels = [] if name == 'RPNHead' else [[torch.zeros(len(g), dtype=torch.long) for g in OBJECTS]]
        losses = head.loss(*head([feats]), OBJECTS, *labels, metas)
        total = torch.stack([sum(v) if isinstance(v, list) else v for v in losses.values()])
        total.sum().backward()
        return total.detach(), feats.grad, torch.cat([p.grad.flatten() for p in head.parameters()])

    one, two, both, none = run(1, 0), run(0, 1), run(0.5, 10), run(0, 0)
    assert (one[0] > 0).all() and not one[1][1].any() and not two[1][0].any()
    for got, a, b, zero in zip(both, one, two, none):
        torch.testing.assert_close(got, 0.5 * a + 10 * b, rtol=1e-4, atol=1e-5)
        assert not zero.any()


def test_switch_changes_all_heads_and_samplers_of_a_copy():
    before = copy.deepcopy(TWO_STAGE)
    model = switch_directives_on(TWO_STAGE, {}, HEADS)
    assert before == TWO_STAGE
    assert model.rpn_head.type == 'RPNHeadWithWeightPerImage'
    assert model.roi_head.type == 'StandardRoIHead' and model.backbone.type == 'ResNet'
    assert model.roi_head.bbox_head[0].type == 'mmdet.SABLHeadWithWeightPerImage'
    assert model.roi_head.mask_head.type == 'FCNMaskHeadWithWeightPerImage'
    assert model.roi_head.extra_bbox_head.type == 'BBoxHead'  # has weights of its own
    assert model.train_cfg.rpn.sampler.type == 'RandomSamplerWithIgnore'
    combined = model.train_cfg.rcnn[0].sampler
    assert (combined.type, combined.neg_sampler.type) == ('CombinedSamplerWithIgnore', 'RandomSampler')
    assert switch_directives_on(model, {}, HEADS) == model


def test_each_switch_works_alone():
    weights = switch_directives_on(TWO_STAGE, dict(ignore_negatives=False), HEADS)
    assert weights.rpn_head.type.endswith('WithWeightPerImage') and weights.train_cfg == TWO_STAGE.train_cfg
    ignore = switch_directives_on(TWO_STAGE, dict(weights=False), HEADS)
    assert ignore.rpn_head == TWO_STAGE.rpn_head and ignore.train_cfg.rpn.sampler.type.endswith('WithIgnore')


@pytest.mark.parametrize(
    ('switches', 'message'),
    [(dict(weight=True), "did you mean 'weights'"), (dict(weights=1), 'weights=1.*True or False')],
)
def test_unknown_switches_are_refused(switches, message):
    with pytest.raises(ValueError, match=message):
        build_detector({**ONE_STAGE, 'directives': switches})


def test_whole_config_of_many_stages_is_switched():
    cfg = Config.fromfile('configs/scnet/scnet_r50_fpn_1x_coco.py').model
    switched = switch_directives_on(cfg, {}, HEADS)
    heads = switched.roi_head
    parts = [*heads.bbox_head, heads.mask_head, heads.semantic_head, heads.glbctx_head, switched.rpn_head]
    assert all(part.type.endswith('WithWeightPerImage') for part in parts)
    assert all(stage.sampler.type == 'RandomSamplerWithIgnore' for stage in switched.train_cfg.rcnn)
