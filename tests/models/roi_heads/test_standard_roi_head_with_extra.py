import copy

import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head
from mmdet.models.roi_heads.standard_roi_head_with_extra import extra_labels, instance_weights, relabel


@pytest.fixture
def make_head(roi_head_cfg, rcnn_cfg):
    def make(params=None, **kwargs):
        torch.manual_seed(0)
        cfg = dict(roi_head_cfg, type='StandardRoIHeadWithExtraBBoxHead', extra_head_params=params)
        cfg['extra_bbox_head'] = dict(roi_head_cfg['bbox_head'], num_classes=3)
        cfg.update(kwargs)
        return build_head(ConfigDict(train_cfg=rcnn_cfg[0], test_cfg=rcnn_cfg[1], **cfg))

    return make


def test_config_is_copied_and_gives_the_same_head_twice(make_head, roi_head_cfg):
    cfg = ConfigDict(roi_head_cfg['bbox_head'], num_classes=3)
    before = copy.deepcopy(cfg)
    heads = [make_head(extra_bbox_head=cfg) for _ in range(2)]
    assert cfg == before
    assert [h.extra_bbox_head.fc_cls.out_features for h in heads] == [3, 3]


def test_one_extra_label_is_refused(make_head, roi_head_cfg):
    with pytest.raises(ValueError, match='number of extra labels, at least 2, got 1'):
        make_head(extra_bbox_head=dict(roi_head_cfg['bbox_head'], num_classes=1))


def test_without_an_extra_head_it_is_the_ordinary_head(make_head, roi_batch):
    roi_batch.pop('gt_extra_labels')
    assert set(make_head(extra_bbox_head=None).forward_train(**roi_batch)) == {'loss_cls', 'loss_bbox', 'acc'}


def test_labels_and_weights_of_positives_and_negatives(sampled):
    results = [sampled([7, 7], 1), sampled([], 2), sampled([7], 0)]
    results[0].pos_assigned_gt_inds = torch.tensor([1, 0])
    extra = [torch.tensor([4, 5]), torch.tensor([], dtype=torch.long), torch.tensor([6])]
    relabelled = [relabel(r, e) for r, e in zip(results, extra)]
    assert extra_labels(relabelled, [1, 2, 3]).tolist() == [5, 4, 1, 2, 2, 6]
    assert instance_weights(relabelled, 0.5, 2).tolist() == [2, 2, 0.5, 0.5, 0.5, 2]
    assert results[0].pos_gt_labels.tolist() == [7, 7]


@pytest.mark.parametrize('strength', [0.0, 0.25, 2.0])
def test_reversal_turns_the_features_gradient_but_not_the_heads(strength, make_head, roi_batch):
    grads = {}
    for reverse in (False, True):
        head = make_head(dict(with_grad_reversal=reverse, lambda_params=dict(default_lambda=strength)))
        feats = [f.clone().requires_grad_() for f in roi_batch['x']]
        head.forward_train(**{**roi_batch, 'x': feats})['loss_extra_cls'].backward()
        grads[reverse] = feats[0].grad, head.extra_bbox_head.fc_cls.weight.grad
        assert head.last_grl_lambda == strength
    assert grads[False][0].abs().sum() > 0
    torch.testing.assert_close(grads[True][0], -strength * grads[False][0])
    torch.testing.assert_close(grads[True][1], grads[False][1])


def test_image_weights_do_not_reach_the_extra_losses(make_head, roi_batch, roi_head_cfg):
    head = make_head(bbox_head=dict(roi_head_cfg['bbox_head'], type='Shared2FCBBoxHeadWithWeightPerImage'))
    weighted = [{**meta, 'roi_head.loss_weight': 0} for meta in roi_batch['img_metas']]
    plain, zero = head.forward_train(**roi_batch), head.forward_train(**{**roi_batch, 'img_metas': weighted})
    assert zero['loss_cls'] == 0 < plain['loss_cls']
    for key in ('loss_extra_cls', 'loss_extra_bbox'):
        torch.testing.assert_close(zero[key], plain[key])


def test_only_training_passes_count(make_head):
    head = make_head(dict(lambda_params=dict(start_end_max_epoch=[0, 4, 4], iters_per_epoch=2)))
    first = head.calc_grl_lambda()
    assert head.eval().calc_grl_lambda() == first == head.calc_grl_lambda()
    assert head.train().calc_grl_lambda() > first


def test_schedule_resumes_where_it_was(make_head):
    params = dict(lambda_params=dict(start_end_max_epoch=[0, 4, 4], iters_per_epoch=2))
    through, resumed = make_head(params), make_head(params)
    values = [through.calc_grl_lambda() for _ in range(9)]
    resumed.set_iter(5)
    assert [resumed.calc_grl_lambda() for _ in range(4)] == values[5:]
    assert set(resumed.state_dict()) == set(through.state_dict())
    assert not any('grl' in key or 'roi_extractor' in key for key in through.state_dict())


def test_nothing_sampled_keeps_extra_losses_and_every_parameter(make_head, roi_batch):
    head = make_head()
    flagged = [dict(meta, ignore_negatives=1) for meta in roi_batch['img_metas']]
    empty, labels = [torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2
    losses = head.forward_train(
        **{**roi_batch, 'img_metas': flagged, 'gt_bboxes': empty, 'gt_labels': labels, 'gt_extra_labels': labels}
    )
    assert {'loss_extra_cls', 'loss_extra_bbox', 'loss_cls'} < set(losses)
    assert all(value == 0 for value in losses.values())
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None for p in head.parameters())


def test_name_of_the_label_is_kept_after_the_first_batch(make_head, roi_batch):
    head = make_head()
    head.forward_train(**roi_batch)
    for meta in roi_batch['img_metas']:
        meta.pop('extra_label_name')
    assert head.forward_train(**roi_batch)['loss_extra_cls'].isfinite()
    roi_batch['img_metas'][1].pop('domain')
    with pytest.raises(KeyError, match="no 'domain', which the extra box head needs"):
        head.forward_train(**roi_batch)


def test_missing_or_misaligned_extra_labels_are_named(make_head, roi_batch):
    gt_extra_labels = roi_batch.pop('gt_extra_labels')
    with pytest.raises(KeyError, match='gt_extra_labels.*LoadExtraAnnotations'):
        make_head().forward_train(**roi_batch)
    with pytest.raises(ValueError, match='image 0 of the batch has 1 for 2 boxes'):
        make_head().forward_train(**roi_batch, gt_extra_labels=[gt_extra_labels[0][:1], gt_extra_labels[1]])


def test_debug_results_hold_the_extra_labels(make_head, roi_batch):
    head = make_head()
    head.keep_debug_results = True
    head.forward_train(**roi_batch)
    assert len(head.debug_results['extra_labels']) == len(head.debug_results['labels'])
    first = len(head.sampling_results[0].pos_bboxes)
    assert set(head.debug_results['extra_labels'][:first].tolist()) == {0, 1}
