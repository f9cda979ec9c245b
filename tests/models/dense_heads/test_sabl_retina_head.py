import copy

import pytest
import torch
from pisa_sabl_sepbn_heads_cases import ASSIGNER, GTS, LABELS, LEVELS, NO_LABELS, NOTHING, SQUARES, feats

from mmdet.models.builder import HEADS

TEST = dict(nms_pre=100, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)


@pytest.fixture
def sabl():
    def make(**kwargs):
        torch.manual_seed(0)
        train = dict(assigner=dict(type='ApproxMaxIoUAssigner', **ASSIGNER), allowed_border=-1, pos_weight=-1)
        cfg = dict(
            type='SABLRetinaHead', num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1,
            approx_anchor_generator=LEVELS, square_anchor_generator=SQUARES, train_cfg=train, test_cfg=TEST,
        )  # fmt: skip
        return HEADS.build(copy.deepcopy(cfg) | kwargs)

    return make


def test_sabl_maps_have_half_the_buckets_for_each_side(sabl):
    scores, boxes = sabl()(feats())
    assert [level.shape for level in scores] == [(2, 3, 4, 4), (2, 3, 2, 2)]
    assert [level.shape for level in boxes[1]] == [(2, 28, 2, 2)] * 2


def test_sabl_targets_lead_back_to_the_objects(sabl, meta):
    head, metas, sizes = sabl(), [meta(32, 32)] * 2, [(4, 4), (2, 2)]
    approxs = head.approx_anchor_generator.grid_priors(sizes, device='cpu')
    flags = [torch.ones(16, dtype=torch.bool), torch.ones(4, dtype=torch.bool)]
    squares = head.get_anchors(sizes, metas, device='cpu')
    labels, _, buckets, _, offsets, _, num_pos, _ = head.get_target(
        [approxs] * 2, [flags] * 2, squares, GTS, metas, gt_labels_list=LABELS
    )
    positive = labels[0][0] < 3
    assert 0 < positive.sum() < num_pos
    boxes, confidences = head.bbox_coder.decode(
        squares[0][0][positive], (buckets[0][0][positive] * 100, offsets[0][0][positive])
    )  # fmt: skip
    torch.testing.assert_close(boxes, GTS[0].expand_as(boxes))
    torch.testing.assert_close(confidences, torch.ones(len(boxes)))


def test_sabl_without_objects_is_finite_and_attached(sabl, meta):
    head = sabl()
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert sum(losses['loss_bbox_cls']) == sum(losses['loss_bbox_reg']) == 0
    sum(sum(value) for value in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_sabl_boxes_are_rescaled_and_weighed_by_confidence(sabl, meta):
    head, x, image = sabl(), feats(1), meta(32, 32, scale_factor=[2.0] * 4)
    dets, labels = head.simple_test_bboxes(x, [image])[0]
    halved, _ = head.simple_test_bboxes(x, [image], rescale=True)[0]
    assert len(dets) == 10
    torch.testing.assert_close(halved[:, :4] * 2, dets[:, :4])
    best = max(level.sigmoid().max() for level in head(x)[0])
    assert dets[0, 4] < best * 0.9  # seven buckets are about equally likely before training


def test_sabl_refuses_what_it_cannot_do(sabl):
    with pytest.raises(ValueError, match='reg_decoded_bbox=False and one square a cell'):
        sabl(reg_decoded_bbox=True)
    with pytest.raises(ValueError, match='got False and 2'):
        sabl(square_anchor_generator=SQUARES | dict(ratios=[0.5, 1.0]))
