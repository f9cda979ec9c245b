import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head
from mmdet.models.roi_heads.dynamic_roi_head import kth_error, kth_overlap

DYNAMIC = dict(iou_topk=2, beta_topk=2, update_iter_interval=2, initial_iou=0.4, initial_beta=1.0)


def test_kth_overlap_is_averaged_over_images():
    overlaps = [torch.tensor([0.2, 0.9, 0.6]), torch.tensor([0.4]), torch.zeros(0)]
    assert kth_overlap(overlaps, 2).item() == pytest.approx((0.6 + 0.4 + 0) / 3)


def test_kth_error_looks_at_the_centres_only():
    deltas = torch.tensor([[0.4, -0.2, 9, 9], [-0.1, 0.1, 9, 9], [1.0, 1.0, 0, 0]])
    assert [kth_error(deltas, k).item() for k in (1, 2, 3, 8)] == pytest.approx([0.1, 0.3, 1.0, 1.0])


@pytest.fixture
def head(roi_head_cfg, rcnn_cfg):
    train_cfg, test_cfg = rcnn_cfg
    train_cfg.dynamic_rcnn = ConfigDict(DYNAMIC)
    return build_head(ConfigDict(type='DynamicRoIHead', train_cfg=train_cfg, test_cfg=test_cfg, **roi_head_cfg))


def test_update_takes_mean_overlap_and_median_error(head):
    head.iou_history = [torch.tensor(0.5), torch.tensor(0.7)]
    head.beta_history = [torch.tensor(0.3), torch.tensor(0.1), torch.tensor(0.2)]
    assert head.update_hyperparameters() == pytest.approx((0.6, 0.2))
    assigner = head.bbox_assigner
    assert [assigner.pos_iou_thr, assigner.neg_iou_thr, assigner.min_pos_iou] == pytest.approx([0.6] * 3)
    assert head.bbox_head.loss_bbox.beta == pytest.approx(0.2)
    assert head.iou_history == head.beta_history == []


def test_update_stays_within_the_initial_values(head):
    head.iou_history, head.beta_history = [torch.tensor(0.1)], [torch.tensor(5.0)]
    assert head.update_hyperparameters() == (0.4, 1.0)


@pytest.mark.parametrize('errors', [[], [torch.tensor(0.0)]], ids=['no positives', 'no error'])
def test_beta_stays_where_errors_tell_nothing(errors, head):
    head.bbox_head.loss_bbox.beta = 0.25
    head.iou_history, head.beta_history = [torch.tensor(0.5)], errors
    assert head.update_hyperparameters()[1] == 0.25


def test_passes_are_noted_and_the_last_of_an_interval_updates(head, roi_batch):
    roi_batch.pop('gt_extra_labels')
    head.forward_train(**roi_batch)
    # ground truth joins the proposals: image 0 has two of it; the second best of image 1 is its first proposal
    overlap = (1 + 69 * 56 / (72 * 56 + 70 * 60 - 69 * 56)) / 2
    # the four smallest errors: three times ground truth, and that proposal, 2 px off at a width of 72 px
    error = 2 / 72 / 0.1 / 2
    assert head.iou_history[0].item() == pytest.approx(overlap)
    assert head.beta_history[0].item() == pytest.approx(error)
    head.forward_train(**roi_batch)
    assert head.iou_history == head.beta_history == []
    assert head.bbox_assigner.pos_iou_thr == pytest.approx(overlap)
    assert head.bbox_head.loss_bbox.beta == pytest.approx(error)


def test_another_box_loss_is_refused(roi_head_cfg):
    roi_head_cfg['bbox_head'].update(loss_bbox=dict(type='L1Loss'))
    with pytest.raises(TypeError, match='adapts the beta of SmoothL1Loss; loss_bbox is a L1Loss'):
        build_head(ConfigDict(type='DynamicRoIHead', **roi_head_cfg))
