import pytest
import torch
from mmcv import ConfigDict
from torch import nn

from mmdet.models.builder import HEADS, LOSSES, build_head
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import Shared2FCBBoxHead
from mmdet.models.roi_heads.bbox_heads.functional import boxes_of_labels, refined_rows, unscale_boxes

CFG = ConfigDict(pos_weight=-1)
IDENTITY_CODER = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4)


def small_head(**kwargs):
    return BBoxHead(**dict(dict(in_channels=2, roi_feat_size=2, num_classes=3), **kwargs))


def test_targets_of_positives_and_negatives(sampled):
    result = sampled([2, 0], 1)
    labels, label_weights, targets, weights = small_head(bbox_coder=IDENTITY_CODER).get_targets(
        [result], None, None, ConfigDict(pos_weight=2.5)
    )
    assert labels.tolist() == [2, 0, 3]
    assert label_weights.tolist() == [2.5, 2.5, 1]
    # the object lies 2 px right of and below the box, which is 20 px wide and 30 px high
    expected = torch.tensor([[2 / 20, 2 / 30, 0, 0]] * 2 + [[0.0] * 4])
    torch.testing.assert_close(targets, expected)
    assert weights.tolist() == [[1] * 4, [1] * 4, [0] * 4]


def test_decoded_targets_are_boxes_in_pixels(sampled):
    result = sampled([1], 0)
    targets = small_head(reg_decoded_bbox=True).get_targets([result], None, None, CFG)[2]
    torch.testing.assert_close(targets, result.pos_gt_bboxes)


def test_targets_of_images_are_joined_in_order_or_kept_apart(sampled):
    results = [sampled([1], 2), sampled([], 0), sampled([], 1)]
    joined = small_head().get_targets(results, None, None, CFG)
    apart = small_head().get_targets(results, None, None, CFG, concat=False)
    assert joined[0].tolist() == [1, 3, 3, 3]
    assert [len(labels) for labels in apart[0]] == [3, 0, 1]
    assert all(torch.equal(whole, torch.cat(parts)) for whole, parts in zip(joined, apart))


class FiveArguments(Shared2FCBBoxHead):
    """A head as users of mmdetection 2.x wrote it."""

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg):
        labels, *rest = super()._get_target_single(pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg)
        return (labels + 100, *rest)


class SixArguments(Shared2FCBBoxHead):
    """A head that asks for the meta information of the image."""

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, img_metas, cfg):
        labels, *rest = super()._get_target_single(pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, img_metas, cfg)
        return (labels + (img_metas or {'shift': 5})['shift'], *rest)


def test_get_targets_calls_overrides_with_the_arguments_they_take(sampled):
    settings = dict(in_channels=2, roi_feat_size=2, num_classes=3, fc_out_channels=4)
    results, metas = [sampled([1], 0), sampled([2], 0)], [dict(shift=10), dict(shift=20)]
    assert FiveArguments(**settings).get_targets(results, None, None, CFG, img_metas=metas)[0].tolist() == [101, 102]
    assert SixArguments(**settings).get_targets(results, None, None, CFG, img_metas=metas)[0].tolist() == [11, 22]
    assert SixArguments(**settings).get_targets(results, None, None, CFG, img_metas=[])[0].tolist() == [6, 7]


def test_meta_information_must_be_there_for_each_image(sampled):
    with pytest.raises(ValueError, match='img_metas: expected 2, one for each image, got 1'):
        small_head().get_targets([sampled([1], 0)] * 2, None, None, CFG, img_metas=[{}])


def test_loss_divides_by_weighted_boxes_and_by_all_boxes(sampled):
    head = small_head(loss_bbox=dict(type='L1Loss'))
    labels = torch.tensor([0, 3, 3])
    label_weights = torch.tensor([1.0, 1, 0])
    box_weights = torch.tensor([[1.0] * 4, [0] * 4, [0] * 4])
    losses = head.loss(
        torch.zeros(3, 4), torch.ones(3, 12), torch.zeros(3, 5), labels, label_weights, torch.zeros(3, 4), box_weights
    )
    torch.testing.assert_close(losses['loss_cls'], torch.tensor(4.0).log())  # two boxes with a weight, each log 4
    torch.testing.assert_close(losses['loss_bbox'], torch.tensor(4 / 3))  # |1 - 0| of four numbers over three boxes


@pytest.mark.parametrize('class_agnostic', [False, True])
def test_box_loss_takes_the_codes_of_the_right_class(class_agnostic):
    head = small_head(loss_bbox=dict(type='L1Loss'), reg_class_agnostic=class_agnostic)
    pred = torch.zeros(2, 4 if class_agnostic else 12, requires_grad=True)
    labels, ones = torch.tensor([1, 3]), torch.ones(2, 4)
    head.loss(None, pred, torch.zeros(2, 5), labels, torch.ones(2), ones, ones)['loss_bbox'].backward()
    start = 0 if class_agnostic else 4
    expected = torch.zeros_like(pred)
    expected[0, start : start + 4] = -0.5
    torch.testing.assert_close(pred.grad, expected)


@pytest.mark.parametrize('labels', [[], [3, 3]], ids=['no_box', 'no_positive'])
def test_loss_without_positives_keeps_all_keys_and_every_parameter(labels, sampled):
    head = build_head(
        dict(type='Shared4Conv1FCBBoxHead', in_channels=2, roi_feat_size=2, conv_out_channels=2, num_classes=3)
    )
    result = sampled([], len(labels))
    rois = torch.cat([torch.zeros(len(labels), 1), result.bboxes], dim=1)
    cls_score, bbox_pred = head(torch.randn(len(labels), 2, 2, 2))
    losses = head.loss(cls_score, bbox_pred, rois, *head.get_targets([result], None, None, CFG))
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc'}
    assert losses['loss_bbox'] == 0 and (labels or losses['loss_cls'] == 0)
    (losses['loss_cls'] + losses['loss_bbox']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_loss_without_boxes_is_finite_for_infinite_predictions():
    pred = torch.full((2, 12), float('inf'))
    losses = small_head().loss(
        None, pred, torch.zeros(2, 5), torch.tensor([3, 3]), torch.ones(2), torch.zeros(2, 4), torch.zeros(2, 4)
    )
    assert losses['loss_bbox'] == 0


@pytest.mark.parametrize('num', [0, 2])
def test_loss_of_single_boxes_has_one_entry_each(num):
    losses = small_head().loss(
        torch.zeros(num, 4), None, None, torch.zeros(num).long(), torch.ones(num), None, None, reduction_override='none'
    )
    torch.testing.assert_close(losses['loss_cls'], torch.full((num,), 4.0).log())


@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('rescale', [False, True])
def test_get_bboxes_without_rois_gives_no_detections(class_agnostic, rescale, rcnn_cfg):
    head = small_head(reg_class_agnostic=class_agnostic)
    pred = torch.zeros(0, 4 if class_agnostic else 12)
    args = torch.zeros(0, 5), torch.zeros(0, 4), pred, (50, 60, 3), 2.0
    dets, labels = head.get_bboxes(*args, rescale=rescale, cfg=rcnn_cfg[1])
    boxes, scores = head.get_bboxes(*args, rescale=rescale)
    assert (dets.shape, labels.shape) == ((0, 5), (0,))
    assert (boxes.shape, scores.shape) == (pred.shape, (0, 4))


def test_get_bboxes_clips_then_rescales():
    rois = torch.tensor([[0, -10.0, 10, 70, 40]])
    boxes, scores = small_head().get_bboxes(rois, torch.zeros(1, 4), torch.zeros(1, 12), (30, 60), [2, 3, 2, 3], True)
    torch.testing.assert_close(boxes, torch.tensor([[0, 10 / 3, 30, 10] * 3]))
    torch.testing.assert_close(scores, torch.full((1, 4), 0.25))


def test_get_bboxes_of_a_classifier_gives_the_clipped_rois():
    rois = torch.tensor([[0, -10.0, 10, 70, 40]])
    head = small_head(with_reg=False)
    assert head.get_bboxes(rois, torch.zeros(1, 4), None, (30, 60), 1.0)[0].tolist() == [[0, 10, 60, 30]]
    assert head.get_bboxes(rois, torch.zeros(1, 4), None, None, 1.0)[0].tolist() == rois[:, 1:].tolist()


def test_get_bboxes_averages_several_logits():
    rois, logits = torch.zeros(1, 5), [torch.tensor([[0.0, 0, 0, 2]]), torch.tensor([[0.0, 0, 2, 0]])]
    scores = small_head().get_bboxes(rois, logits, None, (9, 9), 1.0)[1]
    torch.testing.assert_close(scores, torch.tensor([[0.0, 0, 1, 1]]).softmax(1))


def test_refine_bboxes_drops_ground_truth_and_keeps_images_apart():
    head = small_head(bbox_coder=IDENTITY_CODER)
    rois = torch.tensor([[0, 0.0, 0, 10, 10], [0, 5.0, 5, 15, 15], [0, 1.0, 1, 9, 9], [1, 2.0, 2, 8, 8]])
    preds = torch.zeros(4, 12)
    preds[1, 4] = 1.0  # box 1 moves by its width, for class 1
    metas = [dict(img_shape=(50, 22, 3)), dict(img_shape=(50, 50, 3))]
    flags = [torch.tensor([1, 0], dtype=torch.uint8), torch.tensor([], dtype=torch.uint8)]
    first, second = head.refine_bboxes(rois, torch.tensor([0, 1, 2, 0]), preds, flags, metas)
    torch.testing.assert_close(first, torch.tensor([[15.0, 5, 22, 15], [1, 1, 9, 9]]))
    torch.testing.assert_close(second, torch.tensor([[2.0, 2, 8, 8]]))


def test_regress_by_class_keeps_the_image_index():
    rois = torch.tensor([[1, 2.0, 2, 8, 8]])
    out = small_head().regress_by_class(rois, torch.tensor([2]), torch.zeros(1, 12), dict(img_shape=(9, 9)))
    torch.testing.assert_close(out, rois)
    with pytest.raises(ValueError, match=r'\(n, 4\) or \(n, 5\)'):
        small_head().regress_by_class(rois[:, :3], None, None, {})


def test_boxes_of_labels_and_unscale_boxes():
    values = torch.arange(16.0).reshape(2, 8)
    assert boxes_of_labels(values, torch.tensor([1, 0])).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert unscale_boxes(values[:1], [1, 2, 1, 2]).tolist() == [[0, 0.5, 2, 1.5, 4, 2.5, 6, 3.5]]


@pytest.fixture
def logit_loss():
    """A registered loss that asks for 7 outputs and has its own activation and accuracy."""

    class SevenLogits(nn.Module):
        custom_cls_channels = custom_activation = custom_accuracy = True

        def get_cls_channels(self, num_classes):
            return num_classes + 4

        def get_activation(self, cls_score):
            return cls_score * 0 + 0.5

        def get_accuracy(self, cls_score, labels):
            return dict(acc_mine=cls_score.new_tensor(len(labels)))

        def forward(self, cls_score, labels, weights, avg_factor=None, reduction_override=None):
            return dict(loss_a=cls_score.sum() / avg_factor, loss_b=cls_score.sum() * 0)

    LOSSES.register_module(module=SevenLogits, name='SevenLogitsForTest')
    yield dict(type='SevenLogitsForTest')
    LOSSES.module_dict.pop('SevenLogitsForTest')


def test_custom_loss_sets_outputs_scores_and_accuracy(logit_loss):
    head = small_head(loss_cls=logit_loss)
    logits = head(torch.randn(2, 2, 2, 2))[0]
    losses = head.loss(logits, None, None, torch.zeros(2).long(), torch.ones(2), None, None)
    assert logits.shape == (2, 7)
    assert set(losses) == {'loss_a', 'loss_b', 'acc_mine'}
    assert head.get_bboxes(torch.zeros(2, 5), logits, None, None, 1.0)[1].unique().item() == 0.5


def test_average_pooling_accepts_no_rois():
    head = build_head(
        dict(type='ConvFCBBoxHead', with_avg_pool=True, num_cls_fcs=1, in_channels=2, fc_out_channels=3, num_classes=3)
    )
    logits, codes = head(torch.zeros(0, 2, 7, 7))
    assert (logits.shape, codes.shape) == ((0, 4), (0, 12))
    assert head.fc_reg.in_features == 2 and head.fc_cls.in_features == 3


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(), 'no layers'),
        (dict(num_shared_fcs=1, num_cls_convs=1), 'num_cls_convs and num_reg_convs must be 0'),
        (dict(num_reg_fcs=1, with_reg=False), 'num_reg_convs and num_reg_fcs must be 0'),
    ],
)
def test_impossible_layers_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HEADS.get('ConvFCBBoxHead')(**settings)


def test_double_head_classifies_and_regresses_from_different_features():
    head = build_head(
        dict(
            type='DoubleConvFCBBoxHead', num_convs=1, num_fcs=2, in_channels=4, conv_out_channels=8,
            fc_out_channels=6, roi_feat_size=3, num_classes=2,
        )
    ).eval()  # fmt: skip
    a, b = torch.randn(2, 3, 4, 3, 3)
    torch.testing.assert_close(head(a, b)[0], head(a, a)[0])
    torch.testing.assert_close(head(a, b)[1], head(b, b)[1])
    assert [out.shape for out in head(a, b)] == [(3, 3), (3, 8)]


def test_refined_rows_of_images_in_any_order_leave_ground_truth_out():
    rois = torch.zeros(7, 5)
    rois[:, 0] = torch.tensor([1.0, 0, 1, 0, 1, 0, 2])
    is_gts = [torch.tensor([1, 0], dtype=torch.uint8), torch.tensor([0, 1, 1]), torch.zeros(0), torch.ones(2)]
    assert [rows.tolist() for rows in refined_rows(rois, is_gts)] == [[3, 5], [0], [6], []]


def test_boxes_of_a_head_without_classes_are_not_suppressed():
    head, rois = BBoxHead(with_cls=False, num_classes=1), torch.tensor([[0.0, 1, 2, 3, 4]])
    boxes, scores = head.get_bboxes(rois, None, None, None, 1.0)
    assert boxes.tolist() == [[1, 2, 3, 4]] and scores is None
    with pytest.raises(ValueError, match='with_cls=False'):
        head.get_bboxes(rois, None, None, None, 1.0, cfg=dict(score_thr=0))
