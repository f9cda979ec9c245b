"""Losses of each RoI head by source, against the losses in which only that source's images have a weight."""

import copy

import pytest
import torch
from mmcv import ConfigDict
from test_sparse_roi_head import batch, make  # noqa: F401 - a fixture
from test_weights_of_images import CASES, run, weight  # noqa: F401 - a fixture
from torch import nn

from mmdet.models.builder import build_head
from mmdet.models.source_log import SourceLog

SOURCES = ['real', 'synthetic', 'absent']
METAS = [dict(source='real'), dict(source='synthetic')]
CARL = dict(isr=dict(k=2, bias=0), carl=dict(k=1, bias=0.2))


class Detector(nn.Module):
    """What the log looks for: a RoI head in its slot."""

    def __init__(self, roi_head):
        super().__init__()
        self.roi_head = roi_head


def logged(log, losses, metas=METAS):
    """Loss -> the parts of the sources, after checking that they add up to it."""
    with log.recording(metas):
        losses = losses()
    names, values = log.entries(losses)
    losses = {name: value.detach() for name, value in losses.items()}
    entries = dict(zip(names, values.tolist()))
    by_loss = {name: [entries[f'{name}/{source}'] for source in SOURCES] for name in losses if 'loss' in name}
    for name, parts in by_loss.items():
        assert sum(parts) == pytest.approx(losses[name].item(), rel=1e-5, abs=1e-7), name
        assert parts[2] == 0
    return by_loss, entries


@pytest.mark.parametrize('name', CASES)
def test_parts_are_what_each_image_makes_alone(name, run):  # noqa: F811
    log = SourceLog(Detector(run.head(name)), SOURCES)
    by_loss, entries = logged(log, lambda: run.losses(name, *METAS))
    alone = run(name, weight(1), weight(0))[0], run(name, weight(0), weight(1))[0]
    assert set(by_loss) == set(alone[0])
    for key, parts in by_loss.items():
        assert parts[:2] == pytest.approx([loss[key].item() for loss in alone], rel=1e-3, abs=1e-5), key
    prefix = 's0.' if 's0.loss_cls' in by_loss else ''
    assert entries[f'{prefix}pos/real'] > 0 < entries[f'{prefix}neg/synthetic']


@pytest.mark.parametrize(
    'name', ['standard', 'shared', 'cascade_mask', 'scnet', 'scoring', 'rendering', 'grid', 'sabl']
)
def test_parts_are_linear_in_the_weights_of_the_images(name, run):  # noqa: F811
    log = SourceLog(Detector(run.head(name)), SOURCES)
    plain, _ = logged(log, lambda: run.losses(name, *METAS))
    got, _ = logged(log, lambda: run.losses(name, METAS[0] | weight(0.5), METAS[1] | weight(3)))
    for key, (real, synthetic, _) in plain.items():
        assert got[key][:2] == pytest.approx([0.5 * real, 3 * synthetic], rel=1e-3, abs=1e-5), key


@pytest.mark.parametrize('name', ['standard', 'scnet', 'scoring', 'grid', 'sabl'])
def test_one_source_has_everything_and_without_objects_there_is_nothing_of_masks(name, run):  # noqa: F811
    log = SourceLog(Detector(run.head(name)), SOURCES)
    by_loss, _ = logged(log, lambda: run.losses(name, METAS[0], METAS[0]), [METAS[0]] * 2)
    assert all(parts[1:] == [0, 0] for parts in by_loss.values())
    empty, entries = logged(log, lambda: run.losses(name, *METAS, objects=False))
    assert set(empty) == set(by_loss) and entries['s0.pos/real' if name == 'scnet' else 'pos/real'] == 0
    assert all(parts == [0, 0, 0] for key, parts in empty.items() if 'mask' in key or 'grid' in key or 'bbox' in key)


@pytest.mark.parametrize('with_mask', [False, True])
def test_stages_of_sparse_rcnn(with_mask, batch):  # noqa: F811
    head = make(with_mask)
    batch['img_metas'] = metas = [meta | own for meta, own in zip(batch['img_metas'], METAS)]
    log = SourceLog(Detector(head), SOURCES)
    by_loss, entries = logged(log, lambda: head.forward_train(**batch))
    assert {'stage0_loss_cls', 'stage1_loss_iou', 'stage1_loss_bbox'} <= set(by_loss)
    assert ('stage1_loss_mask' in by_loss) == with_mask
    for i in range(2):
        batch['img_metas'] = [{**meta, 'roi_head.loss_weight': float(i == k)} for k, meta in enumerate(metas)]
        for name, value in head.forward_train(**batch).items():
            if 'loss' in name and 'mask' not in name:
                assert by_loss[name][i] == pytest.approx(value.item(), rel=1e-4), name
    assert [entries[f'stage0_pos/{source}'] for source in SOURCES] == [2, 1, 0]
    assert [entries[f'stage1_neg/{source}'] for source in SOURCES] == [2, 3, 0]


def test_loss_that_weighs_boxes_by_their_scores_is_divided(roi_batch, roi_head_cfg, rcnn_cfg):
    torch.manual_seed(0)
    train_cfg, test_cfg = rcnn_cfg
    train_cfg.update(copy.deepcopy(CARL), sampler=dict(train_cfg.sampler, type='RandomSampler'))
    head = build_head(ConfigDict(roi_head_cfg, type='PISARoIHead', train_cfg=train_cfg, test_cfg=test_cfg))
    roi_batch.pop('gt_extra_labels')
    roi_batch['img_metas'] = [meta | own for meta, own in zip(roi_batch['img_metas'], METAS)]
    log = SourceLog(Detector(head), SOURCES)
    by_loss, _ = logged(log, lambda: head.forward_train(**roi_batch))
    assert set(by_loss) == {'loss_cls', 'loss_bbox', 'loss_carl'} and min(by_loss['loss_carl'][:2]) > 0
    roi_batch['gt_bboxes'][0], roi_batch['gt_labels'][0] = torch.zeros(0, 4), torch.zeros(0).long()
    by_loss, _ = logged(log, lambda: head.forward_train(**roi_batch))
    assert by_loss['loss_carl'][0] == by_loss['loss_bbox'][0] == 0 < by_loss['loss_carl'][1]
