"""Losses by source, against the losses of a batch in which only that source's images have a weight."""

import copy
import logging
import re

import numpy as np
import pytest
import torch
from small_detectors import RETINA, ROI_HEAD, matching
from torch import nn

from mmdet.core.directives import ROI_HEAD as ROI
from mmdet.core.directives import RPN_HEAD as RPN
from mmdet.core.directives import loss_weight_key
from mmdet.core.mask import BitmapMasks
from mmdet.core.targets import Targets
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.directives import directives_of
from mmdet.models.source_log import SourceLog, count_targets, is_counted

SOURCES = ['real', 'synthetic', 'absent']
OWNERS = ['real', 'synthetic', 'synthetic', 'real']
KEYS = [loss_weight_key(RPN), loss_weight_key(ROI)]


@HEADS.register_module(force=True)
class WeightedRetinaHead(HeadWithWeightPerImage, RetinaHead):
    """RetinaHead with the weights of images."""


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
    """A two-stage model whose heads have the weights of images."""
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
def test_parts_are_what_each_source_makes_alone_and_add_up(make, build, mixed_batch):
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


def test_parts_are_linear_in_the_weight_of_a_source(build, mixed_batch):
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


@pytest.fixture
def warnings_of_log(caplog):
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level('WARNING', 'mmdet'):
        yield lambda: [record.message for record in caplog.records if 'per_source_log' in record.message]


def test_loss_that_is_not_linear_is_named_once_and_left_whole(build, mixed_batch, warnings_of_log):
    """The harmonised loss weighs anchors by how many have gradients like theirs, in all images."""
    model = build('retinanet', bbox_head=dict(RETINA, loss_cls=dict(type='GHMC', bins=5, use_sigmoid=True)))
    model.source_log = SourceLog(model, SOURCES)
    first, second = step(model, mixed_batch), step(model, mixed_batch)
    (message,) = warnings_of_log()
    assert re.search(r'loss_cls \(of [\d.e-]+, its parts make [\d.e-]+\)', message) and 'loss_bbox' not in message
    for log in (first, second):
        assert log['loss_cls'] > 0 and not any(name.startswith('loss_cls/') for name in log)
        assert sum(log[f'loss_bbox/{source}'] for source in SOURCES) == pytest.approx(log['loss_bbox'], rel=1e-5)
    assert model.source_log.charts() == {'loss_bbox': ['loss_bbox', *(f'loss_bbox/{source}' for source in SOURCES)]}


class OwnLoss(RetinaHead):
    """Its loss is the parent's and one over maps, of which no head weighs the rows."""

    def loss(self, cls_scores, *args, **kwargs):
        return super().loss(cls_scores, *args, **kwargs) | dict(loss_maps=cls_scores[0].square().mean())


def test_loss_whose_rows_no_head_weighs_is_named_and_those_of_the_parent_are_divided(
    build, mixed_batch, warnings_of_log
):
    model = build('retinanet')
    model.bbox_head.__class__ = OwnLoss
    model.source_log = SourceLog(model, SOURCES)
    log, _ = step(model, mixed_batch), step(model, mixed_batch)
    (message,) = warnings_of_log()
    assert 'loss_maps (of' in message and 'parts make 0)' in message and 'loss_cls' not in message
    assert 'loss_maps/real' not in log and sum(log[f'loss_cls/{source}'] for source in SOURCES) == pytest.approx(
        log['loss_cls'], rel=1e-5
    )


def test_nothing_records_outside_a_step(build, mixed_batch):
    model, _ = build_two_stage(build)
    model.source_log = SourceLog(model, SOURCES)
    heads = [model.rpn_head, model.roi_head.bbox_head]
    assert model.source_log.heads == heads
    mixed_batch['img_metas'][0]['source'] = 'unknown'
    with pytest.raises(KeyError, match="has the source 'unknown', expected one of real, synthetic, absent"):
        step(model, mixed_batch)
    mixed_batch['img_metas'][0]['source'] = 'real'
    mixed_batch['gt_bboxes'][0] = None
    with pytest.raises(TypeError):
        step(model, mixed_batch)
    assert all(directives_of(head).record is None for head in heads)


def test_one_source_needs_no_name(build, mixed_batch):
    model, names = build_two_stage(build)
    model.source_log = SourceLog(model, ['all'])
    for meta in mixed_batch['img_metas']:
        del meta['source']
    log = step(model, mixed_batch)
    assert log['images/all'] == 4
    assert [log[f'{name}/all'] for name in names] == pytest.approx([log[name] for name in names])


def test_parts_add_up_under_accumulation_and_gradients_stay(build, mixed_batch):
    (plain, names), (logged, _) = build_two_stage(build), build_two_stage(build)
    logged.source_log = SourceLog(logged, SOURCES)
    halves = [{key: value[part] for key, value in mixed_batch.items()} for part in (slice(0, 2), slice(2, 4))]
    for model in (plain, logged):
        for half in halves:  # gradients add up over two steps
            torch.manual_seed(3)
            np.random.seed(3)
            out = model.train_step(copy.deepcopy(half), None)
            (out['loss'] / 2).backward()
            if model is logged:
                for name in names:
                    parts = sum(out['log_vars'][f'{name}/{source}'] for source in SOURCES)
                    assert parts == pytest.approx(out['log_vars'][name], rel=1e-5, abs=1e-7)
    for (name, a), b in zip(plain.named_parameters(), logged.parameters(), strict=True):
        assert a.grad is not None and a.grad.equal(b.grad), name


def test_parts_add_up_under_autocast(build, mixed_batch, warnings_of_log):
    model, names = build_two_stage(build)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        plain = step(model, mixed_batch)
        model.source_log = SourceLog(model, SOURCES)
        log = step(model, mixed_batch)
    assert {name: log[name] for name in plain} == plain
    for name in names:
        assert log[f'{name}/real'] > 0
        assert sum(log[f'{name}/{source}'] for source in SOURCES) == pytest.approx(log[name], rel=1e-3, abs=1e-6)
    assert not warnings_of_log()


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


def test_pixels_are_divided_by_their_images():
    model = nn.Module()
    model.semantic_head = HEADS.build(dict(
        type='PanopticFPNHead', num_things_classes=2, num_stuff_classes=3, in_channels=4, inner_channels=4,
        start_level=0, end_level=1, norm_cfg=None,
    ))  # fmt: skip
    feats, truth = [torch.randn(2, 4, 4, 6)], torch.randint(2, 5, (2, 1, 8, 12))
    log = SourceLog(model, SOURCES)
    metas = [dict(source='synthetic'), dict(source='real')]
    with log.recording(metas):
        losses = model.semantic_head.forward_train(feats, truth, metas)
    values = dict(zip(*log.entries(losses)))
    for i, source in enumerate(['synthetic', 'real']):
        alone = model.semantic_head.forward_train([feats[0][i : i + 1]], truth[i : i + 1])
        torch.testing.assert_close(values[f'loss_seg/{source}'], alone['loss_seg'].detach() / 2)


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


def test_counts_of_rows_by_hand():
    """Two images of three rows, of which the last only fills up; two weights a row, one for each class."""
    labels = torch.tensor([[0, 2, 2], [2, 2, 2]])
    weights = torch.tensor([[3.0, 1, 0], [0, 0.5, 0]])
    images = torch.tensor([[0, 0, -1], [1, 1, -1]])
    want = [[1, 0], [1, 1], [0, 1], [4, 0.5]]  # positives, negatives, ignored, weight
    boxes = torch.zeros(2, 3, 4)
    assert count_targets(Targets(labels, weights, boxes, boxes), images, 2, 2).tolist() == want
    by_class = torch.stack([weights, weights / 2], 2)
    assert count_targets(Targets(labels, by_class, boxes, boxes), images, 2, 2).tolist() == want


@pytest.mark.parametrize(
    ('name', 'counted'),
    [
        ('loss_cls', True),
        ('loss_rpn_cls', True),
        ('s1.loss_cls', True),
        ('stage0_loss_cls', True),
        ('d0.loss_cls', False),
        ('enc_loss_cls', False),
        ('loss_bbox_cls', False),
        ('loss_bbox', False),
    ],
)
def test_targets_are_counted_once_for_each_classification(name, counted):
    assert is_counted(name) is counted
