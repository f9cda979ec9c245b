"""One switch in a model's config for all heads and samplers, and the report of who heeds what."""

import copy

import pytest
import torch
from mmcv import Config, ConfigDict

from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.models.builder import HEADS, build_detector
from mmdet.models.directives import switch_directives_on
from mmdet.models.utils.directive_report import describe_readers, directive_readers

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


def test_single_stage_head_obeys_the_weight_of_its_slot_and_the_flag_without_sampling():
    model = build_detector({**ONE_STAGE, 'directives': {}})
    assert isinstance(model.bbox_head.sampler, PseudoSampler) and not model.bbox_head.sampling
    readers = {reader.name: reader.says for reader in directive_readers(model)}
    assert readers == {
        'bbox_head': 'bbox_head.loss_weight, else rpn_head.loss_weight (negatives alike), '
        'labeled_classes or unlabeled_classes',
        'bbox_head.sampler': 'ignore_negatives',
    }
    meta = dict(img_shape=(64, 64, 3), pad_shape=(64, 64, 3))

    def losses(**fields):
        torch.manual_seed(0)
        objects = dict(gt_bboxes=[torch.tensor([[0.0, 0, 17, 17]])], gt_labels=[torch.tensor([1])])
        out = model.forward_train(torch.ones(1, 3, 64, 64), [{**meta, **fields}], **objects)
        return {name: sum(value).item() for name, value in out.items()}

    plain = losses()
    assert losses(**{'rpn_head.loss_weight': 3}) == pytest.approx({k: 3 * v for k, v in plain.items()})
    both = {'rpn_head.loss_weight': 3, 'bbox_head.loss_weight': 2}
    assert losses(**both) == pytest.approx({k: 2 * v for k, v in plain.items()})
    flagged = losses(ignore_negatives=1)
    assert flagged['loss_bbox'] == pytest.approx(plain['loss_bbox']) and flagged['loss_cls'] < plain['loss_cls']


def test_detector_over_points_obeys_all_directives_by_the_one_switch():
    head = dict(type='FCOSHead', num_classes=2, in_channels=512, feat_channels=4, stacked_convs=1, strides=(32,),
                regress_ranges=((-1, 1e8),), norm_cfg=None)  # fmt: skip
    plain = {**ONE_STAGE, 'type': 'FCOS', 'bbox_head': head, 'train_cfg': None}
    assert 'bbox_head (FCOSHead)' in describe_readers(directive_readers(build_detector(plain)))
    model = build_detector({**plain, 'directives': {}})
    (reader,) = directive_readers(model)
    assert (reader.name, reader.kind) == ('bbox_head', 'FCOSHeadWithWeightPerImage')
    assert {'ignore_negatives', 'negatives', 'labeled_classes', 'bbox_head.negative_weight'} < set(reader.keys)

    def losses(**fields):
        objects = dict(gt_bboxes=[torch.tensor([[0.0, 0, 31, 31]])], gt_labels=[torch.tensor([1])])
        metas = [dict(img_shape=(64, 64, 3), pad_shape=(64, 64, 3), **fields)]
        out = model.forward_train(torch.ones(1, 3, 64, 64), metas, **objects)
        return {name: float(sum(value) if isinstance(value, list) else value) for name, value in out.items()}

    model.eval()  # of the backbone's norms the running numbers
    plain, weighted = losses(), losses(**{'bbox_head.loss_weight': 3, 'rpn_head.loss_weight': 2})
    assert weighted == pytest.approx({key: 3 * value for key, value in plain.items()}) and min(plain.values()) > 0
    ignoring = losses(ignore_negatives=1)
    assert 0 < ignoring.pop('loss_cls') < plain.pop('loss_cls') and ignoring == plain


def test_report_names_who_heeds_and_who_does_not():
    plain = build_detector(ONE_STAGE)
    assert describe_readers(directive_readers(plain)) == (
        'directives heeded by bbox_head (RetinaHead), bbox_head.sampler (PseudoSampler): none'
    )
    assert describe_readers([]) == 'directives heeded by nobody'
    text = describe_readers(directive_readers(build_detector({**ONE_STAGE, 'directives': {}})))
    assert 'bbox_head.sampler: ignore_negatives' in text
    assert 'bbox_head: bbox_head.loss_weight, else rpn_head.loss_weight' in text


def test_whole_config_of_many_stages_is_switched():
    cfg = Config.fromfile('configs/scnet/scnet_r50_fpn_1x_coco.py').model
    switched = switch_directives_on(cfg, {}, HEADS)
    heads = switched.roi_head
    parts = [*heads.bbox_head, heads.mask_head, heads.semantic_head, heads.glbctx_head, switched.rpn_head]
    assert all(part.type.endswith('WithWeightPerImage') for part in parts)
    assert all(stage.sampler.type == 'RandomSamplerWithIgnore' for stage in switched.train_cfg.rcnn)


def test_head_that_reads_directives_itself_may_say_so():
    head = torch.nn.Linear(1, 1)
    head.heeded_directives = ['ignore_negatives']
    (reader,) = directive_readers(torch.nn.Sequential(head))
    assert reader == ('0', 'Linear', ('ignore_negatives',), 'ignore_negatives')
