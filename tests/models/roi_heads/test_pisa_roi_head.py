import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head
from mmdet.models.roi_heads.pisa_roi_head import sample_factors

ISR_CARL = dict(isr=dict(k=2, bias=0), carl=dict(k=1, bias=0.2))
HLR = dict(type='ScoreHLRSampler', num=16, pos_fraction=0.5, k=0.5, bias=0.0)


@pytest.fixture
def make_head(roi_head_cfg, rcnn_cfg):
    def make(kind='PISARoIHead', box_head='Shared2FCBBoxHead', **train):
        torch.manual_seed(0)
        train_cfg, test_cfg = rcnn_cfg
        cfg = dict(roi_head_cfg, type=kind, bbox_head=dict(roi_head_cfg['bbox_head'], type=box_head))
        return build_head(ConfigDict(train_cfg={**train_cfg, **train}, test_cfg=test_cfg, **cfg))

    return make


def train(head, batch, weights=(1, 1)):
    metas = [dict(meta, **{'roi_head.loss_weight': w}) for meta, w in zip(batch['img_metas'], weights)]
    inputs = {key: value for key, value in batch.items() if key != 'gt_extra_labels'}
    torch.manual_seed(0)
    return head.forward_train(**{**inputs, 'img_metas': metas})


def test_without_settings_it_is_the_standard_head(make_head, roi_batch):
    losses, standard = (train(make_head(kind), roi_batch) for kind in ('PISARoIHead', 'StandardRoIHead'))
    assert losses.keys() == standard.keys()
    assert all(losses[key] == standard[key] for key in losses)


def test_importance_keeps_the_total_and_changes_the_shares(make_head, roi_batch):
    plain, weighed = (make_head(**cfg) for cfg in ({}, dict(isr=dict(k=2, bias=0))))
    losses = [train(head, roi_batch)['loss_cls'] for head in (plain, weighed)]
    torch.testing.assert_close(*losses)
    grads = [torch.autograd.grad(loss, head.bbox_head.fc_cls.weight)[0] for loss, head in zip(losses, (plain, weighed))]
    assert not torch.allclose(*grads)


@pytest.mark.parametrize('sampler', [{}, dict(sampler=HLR)], ids=['random', 'by_rank'])
def test_all_parts_reach_every_parameter(sampler, make_head, roi_batch):
    head = make_head(**ISR_CARL, **sampler)
    losses = train(head, roi_batch)
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc', 'loss_carl'}
    sum(value.sum() for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_nothing_sampled_gives_zeros(make_head, roi_batch):
    head = make_head(**ISR_CARL)
    metas = [dict(meta, ignore_negatives=1) for meta in roi_batch['img_metas']]
    empty, labels = [torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2
    losses = train(head, dict(roi_batch, gt_bboxes=empty, gt_labels=labels, img_metas=metas))
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc', 'loss_carl'}
    total = sum(value.sum() for value in losses.values())
    assert total == 0
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() == 0 for p in head.parameters())


@pytest.mark.parametrize('sampler', [{}, dict(sampler=HLR)], ids=['random', 'by_rank'])
@pytest.mark.parametrize('key', ['loss_cls', 'loss_bbox', 'loss_carl'])
def test_losses_are_linear_in_the_weight_of_an_image(key, sampler, make_head, roi_batch):
    head = make_head(box_head='Shared2FCBBoxHeadWithWeightPerImage', **ISR_CARL, **sampler)
    one, none, ten = (train(head, roi_batch, (w, 1))[key].sum() for w in (1, 0, 10))
    torch.testing.assert_close(ten - none, 10 * (one - none))
    assert one - none > 1e-3


def test_factors_of_negatives_come_from_the_sampler(sampled):
    results = [sampled([0, 1], 2), sampled([], 1), sampled([2], 0)]
    factors = sample_factors(results, [torch.tensor([0.5, 2.0]), None, torch.zeros(0)], torch.zeros(1))
    assert factors.tolist() == [1, 1, 0.5, 2, 1, 1]
