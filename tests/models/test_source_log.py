"""Losses by source, against the losses of a batch in which only that source's images have a weight."""

import copy
import logging

import numpy as np
import pytest
import torch
from small_detectors import RETINA, ROI_HEAD, matching
from torch import nn

from mmdet.core.directives import ROI_HEAD as ROI
from mmdet.core.directives import RPN_HEAD as RPN
from mmdet.core.directives import loss_weight_key
from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.losses import listening
from mmdet.models.source_log import SourceLog
from mmdet.models.source_parts import find_parts, unknown_heads, why_not_split

SOURCES = ['real', 'synthetic', 'absent']
OWNERS = ['real', 'synthetic', 'synthetic', 'real']
KEYS = [loss_weight_key(RPN), loss_weight_key(ROI)]


@HEADS.register_module(force=True)
class WeightedRetinaHead(HeadWithWeightPerImage, RetinaHead):
    """RetinaHead that obeys a weight."""


@pytest.fixture
def mixed_batch(batch):
    """Four images of two sources; one is without objects."""
    metas = [{**batch['img_metas'][0], 'source': owner} for owner in OWNERS]
    boxes = torch.tensor([[4.0, 2, 40, 30]])
    return dict(
        img=torch.randn(4, 3, 32, 48, generator=torch.Generator().manual_seed(1)),
        img_metas=metas,
        gt_bboxes=[*batch['gt_bboxes'], boxes, boxes / 2],
        gt_labels=[*batch['gt_labels'], torch.tensor([1]), torch.tensor([0])],
    )


def step(model, data):
    torch.manual_seed(3)
    np.random.seed(3)
    return model.train_step(copy.deepcopy(data), None)['log_vars']


def weighted(model_config):
    """A two-stage model whose heads obey weights."""
    cfg = copy.deepcopy(model_config)
    cfg['bbox_head']['type'] += 'WithWeightPerImage'
    return cfg


def build_two_stage(build):
    model = build('faster_rcnn', roi_head=weighted(ROI_HEAD), rpn_head=dict(
        type='RPNHeadWithWeightPerImage', in_channels=4, feat_channels=4,
        anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])))  # fmt: skip
    return model, ['loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox']


def build_cascade(build):
    roi = weighted(ROI_HEAD)
    roi.update(type='CascadeRoIHead', num_stages=2, stage_loss_weights=[1, 0.5], bbox_head=[roi['bbox_head']] * 2)
    stage = matching(0.5, 0.5, 16, True)
    model, _ = build_two_stage(build)
    cfg = dict(rpn=matching(0.7, 0.3, 32, False), rpn_proposal=dict(nms_pre=50, max_per_img=20,
               nms=dict(type='nms', iou_threshold=0.5), min_bbox_size=0), rcnn=[stage, stage])  # fmt: skip
    made = build('faster_rcnn', type='CascadeRCNN', roi_head=roi, train_cfg=cfg)
    made.rpn_head = model.rpn_head
    return made, ['loss_rpn_cls', 'loss_rpn_bbox'] + [f's{i}.loss_{kind}' for i in (0, 1) for kind in ('cls', 'bbox')]


def build_retina(build):
    return build('retinanet', bbox_head=dict(RETINA, type='WeightedRetinaHead')), ['loss_cls', 'loss_bbox']


@pytest.mark.parametrize('make', [build_two_stage, build_cascade, build_retina])
def test_shares_are_what_each_source_makes_alone_and_add_up(make, build, mixed_batch):
    model, names = make(build)
    plain = step(model, mixed_batch)
    model.source_log = SourceLog(model, SOURCES)
    log = step(model, mixed_batch)
    assert {name: log[name] for name in plain} == plain  # the training is not touched
    model.source_log = None
    for source in SOURCES:
        alone = copy.deepcopy(mixed_batch)
        for meta in alone['img_metas']:
            meta.update({key: float(meta['source'] == source) for key in KEYS})
        expected = step(model, alone)
        for name in names:
            assert log[f'{name}/{source}'] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), (name, source)
    for name in names:
        assert sum(log[f'{name}/{source}'] for source in SOURCES) == pytest.approx(log[name], rel=1e-5, abs=1e-7)
        assert log[f'{name}/absent'] == 0
    assert [log[f'images/{source}'] for source in SOURCES] == [2, 2, 0]


def test_shares_are_linear_in_the_weight_of_a_source(build, mixed_batch):
    model, names = build_two_stage(build)
    model.source_log = SourceLog(model, SOURCES)
    one = step(model, mixed_batch)
    for meta in mixed_batch['img_metas']:
        meta.update({key: 3.0 for key in KEYS if meta['source'] == 'real'})
    three = step(model, mixed_batch)
    for name in names:
        assert three[f'{name}/real'] == pytest.approx(3 * one[f'{name}/real'], rel=1e-4)
        assert three[f'{name}/synthetic'] == pytest.approx(one[f'{name}/synthetic'], rel=1e-4)
    for head in ('rpn_', ''):
        assert three[f'{head}weight/real'] == pytest.approx(3 * one[f'{head}weight/real'])
        assert three[f'{head}pos/real'] == one[f'{head}pos/real'] > 0


def test_counts_are_those_of_the_samples(build, mixed_batch):
    model, _ = build_two_stage(build)
    model.source_log = SourceLog(model, SOURCES)
    log = step(model, mixed_batch)
    for source in SOURCES[:2]:
        own = [res for res, owner in zip(model.roi_head.sampling_results, OWNERS) if owner == source]
        assert log[f'pos/{source}'] == sum(len(res.pos_inds) for res in own)
        assert (
            log[f'neg/{source}'] == log[f'weight/{source}'] - log[f'pos/{source}'] == sum(len(r.neg_inds) for r in own)
        )
        assert log[f'ignored/{source}'] == 0
        anchors = sum(log[f'rpn_{kind}/{source}'] for kind in ('pos', 'neg', 'ignored'))
        assert anchors == 2 * (4 * 6 + 2 * 3) and log[f'rpn_ignored/{source}'] > 0


def test_weight_zero_and_no_objects_give_zeros(build, mixed_batch):
    model, names = build_two_stage(build)
    model.source_log = SourceLog(model, SOURCES)
    for meta in mixed_batch['img_metas']:
        meta.update(dict.fromkeys(KEYS, 0.0))
    log = step(model, mixed_batch)
    assert all(log[f'{name}/{source}'] == 0 for name in names for source in SOURCES)
    assert log['rpn_pos/real'] == log['neg/real'] == 0 < log['ignored/real']
    mixed_batch['gt_bboxes'], mixed_batch['gt_labels'] = [torch.zeros(0, 4)] * 4, [torch.zeros(0, dtype=torch.long)] * 4
    assert set(step(model, mixed_batch)) == set(log)


def test_masks_are_divided_by_their_positives(build, mixed_batch, monkeypatch):
    mask = dict(type='FCNMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3)
    roi = dict(weighted(ROI_HEAD), mask_head=mask, mask_roi_extractor=dict(ROI_HEAD['bbox_roi_extractor']))
    model = build('faster_rcnn', type='MaskRCNN', roi_head=roi)
    model.roi_head.train_cfg.mask_size = 4
    mixed_batch['gt_masks'] = [
        BitmapMasks(np.ones((len(boxes), 32, 48), np.uint8), 32, 48) for boxes in mixed_batch['gt_bboxes']
    ]
    rows = {}
    loss = model.roi_head.mask_head.loss

    def note(pred, targets, labels):
        counts = [len(res.pos_bboxes) for res in model.roi_head.sampling_results]
        owners = np.repeat(OWNERS, counts)
        for source in SOURCES[:2]:
            own = torch.as_tensor(np.flatnonzero(owners == source))
            rows[source] = (
                float(loss(pred[own], targets[own], labels[own])['loss_mask'].detach()) * len(own) / len(owners)
            )
        return loss(pred, targets, labels)

    model.source_log = SourceLog(model, SOURCES)
    log = step(model, mixed_batch)
    monkeypatch.setattr(model.roi_head.mask_head, 'loss', note)
    model.source_log = None
    step(model, mixed_batch)
    for source, expected in rows.items():
        assert log[f'loss_mask/{source}'] == pytest.approx(expected, rel=1e-4)


def test_a_loss_that_cannot_be_divided_is_left_out_with_one_warning(build, mixed_batch, caplog):
    roi = copy.deepcopy(ROI_HEAD)
    roi['bbox_head']['loss_cls'] = dict(type='SmoothedLoss')
    model = build('faster_rcnn', roi_head=roi)
    model.source_log = SourceLog(model, SOURCES)
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level('WARNING', 'mmdet'):
        log, _ = step(model, mixed_batch), step(model, mixed_batch)
    assert log['pos/real'] > 0 and 'loss_cls' in log and 'loss_cls/real' not in log and 'loss_rpn_cls/real' in log
    assert sum('loss_cls (SmoothedLoss weighs the batch' in record.message for record in caplog.records) == 1


def test_nothing_listens_outside_a_step(build, mixed_batch):
    model, _ = build_two_stage(build)
    model.source_log = SourceLog(model, SOURCES)
    mixed_batch['img_metas'][0]['source'] = 'unknown'
    with pytest.raises(KeyError, match="has the source 'unknown', expected one of real, synthetic, absent"):
        step(model, mixed_batch)
    mixed_batch['img_metas'][0]['source'] = 'real'
    mixed_batch['gt_bboxes'][0] = None
    with pytest.raises(TypeError):
        step(model, mixed_batch)
    assert not listening._listeners
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_head_with_a_loss_of_its_own_is_named_and_not_divided(build, mixed_batch, caplog):
    class OwnLoss(RetinaHead):
        def loss(self, *args, **kwargs):
            return super().loss(*args, **kwargs)

    model = build('retinanet')
    assert [part.name for part in find_parts(model)] == ['loss_cls', 'loss_bbox'] and unknown_heads(model) == []
    model.bbox_head.__class__ = OwnLoss
    assert find_parts(model) == [] and unknown_heads(model) == ['OwnLoss']
    model.source_log = SourceLog(model, SOURCES)
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level('WARNING', 'mmdet'):
        log, _ = step(model, mixed_batch), step(model, mixed_batch)
    assert [name for name in log if '/' in name] == [f'images/{source}' for source in SOURCES]
    (message,) = (record.message for record in caplog.records)
    assert (
        'loss_bbox (no head tells whose rows it is over; heads with losses of their own: OwnLoss), loss_cl' in message
    )


def test_keypoints_are_divided_by_the_boxes_they_are_of(build, mixed_batch):
    model = build('keypoint_rcnn')
    points = [torch.rand(len(boxes), 5, 3) * 8 + 8 for boxes in mixed_batch['gt_bboxes']]
    batch = mixed_batch | dict(gt_keypoints=[torch.cat([p[..., :2], torch.ones_like(p[..., :1])], 2) for p in points])
    model.source_log = SourceLog(model, SOURCES)
    log = step(model, batch)
    parts = [log[f'loss_keypoint/{source}'] for source in SOURCES]
    assert min(parts[:2]) > 0 == parts[2] and sum(parts) == pytest.approx(log['loss_keypoint'], rel=1e-5)
    rows, loss = [], model.roi_head.keypoint_head.loss

    def note(pred, targets, *args):
        counts = [len(res.pos_bboxes) for res in model.roi_head.sampling_results]
        own = torch.as_tensor(np.repeat([owner == 'real' for owner in OWNERS], counts)).float()
        rows.append(float(loss(pred, targets, *args, weights=own)['loss_keypoint'].detach()))
        return loss(pred, targets, *args)

    model.source_log, model.roi_head.keypoint_head.loss = None, note
    step(model, batch)
    assert parts[0] == pytest.approx(rows[0], rel=1e-4)


def test_masks_of_positives_that_nobody_counted_are_left_out(build, mixed_batch, caplog):
    class OwnLoss(type(build('faster_rcnn').roi_head.bbox_head)):
        def loss(self, *args, **kwargs):
            return super().loss(*args, **kwargs)

    mask = dict(type='FCNMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3)
    model = build('faster_rcnn', type='MaskRCNN', roi_head=dict(ROI_HEAD, mask_head=mask))
    model.roi_head.train_cfg.mask_size = 4
    model.roi_head.bbox_head.__class__ = OwnLoss
    masks = [BitmapMasks(np.ones((len(boxes), 32, 48), np.uint8), 32, 48) for boxes in mixed_batch['gt_bboxes']]
    model.source_log = SourceLog(model, SOURCES)
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level('WARNING', 'mmdet'):
        log = step(model, mixed_batch | dict(gt_masks=masks))
    assert log['loss_mask'] > 0 and 'loss_mask/real' not in log and 'loss_rpn_cls/real' in log
    assert 'loss_mask (its box head does not tell which RoIs are positives)' in caplog.text


def test_pixels_are_divided_by_their_images():
    model = nn.Module()
    model.semantic_head = HEADS.build(dict(
        type='PanopticFPNHead', num_things_classes=2, num_stuff_classes=3, in_channels=4, inner_channels=4,
        start_level=0, end_level=1, norm_cfg=None,
    ))  # fmt: skip
    feats, truth = [torch.randn(2, 4, 4, 6)], torch.randint(2, 5, (2, 1, 8, 12))
    log = SourceLog(model, SOURCES)
    with log.recording([dict(source='synthetic'), dict(source='real')]):
        losses = model.semantic_head.forward_train(feats, truth)
    values = dict(zip(*log.entries(losses)))
    for i, source in enumerate(['synthetic', 'real']):
        alone = model.semantic_head.forward_train([feats[0][i : i + 1]], truth[i : i + 1])
        torch.testing.assert_close(values[f'loss_seg/{source}'], alone['loss_seg'].detach() / 2)


def test_losses_that_do_not_fall_into_rows_say_why():
    kinds = dict(type='SmoothedLoss'), dict(type='SmoothedLoss', weighting='sample'), dict(type='SeesawLoss'), {}
    reasons = [why_not_split(build_loss(kind) if kind else None) for kind in kinds]
    assert "weighting='sample' does" in reasons[0] and 'SeesawLoss is not known' in reasons[2]
    assert reasons[1] is reasons[3] is None


@pytest.mark.parametrize('make', [build_two_stage, build_cascade, build_retina])
def test_nothing_more_is_read_from_the_device(make, build, mixed_batch, monkeypatch):
    model, _ = make(build)
    reads = []
    for name in ('item', 'tolist', 'numpy', 'cpu', '__bool__', '__float__', '__int__', '__index__', 'nonzero'):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, counting(original, name, reads))
    step(model, mixed_batch)
    plain = sorted(reads)
    reads.clear()
    model.source_log = SourceLog(model, SOURCES)
    step(model, mixed_batch)
    assert sorted(reads) == plain and 'tolist' in plain


def counting(original, name, reads):
    def counted(self, *args, **kwargs):
        reads.append(name)
        return original(self, *args, **kwargs)

    return counted
