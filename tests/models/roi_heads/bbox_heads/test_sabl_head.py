import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head

CFG = ConfigDict(pos_weight=-1)
NAMES = {'loss_cls', 'acc', 'loss_bbox_cls', 'loss_bbox_reg'}


@pytest.fixture
def make_head():
    def make(kind='SABLHead', **kwargs):
        torch.manual_seed(0)
        cfg = dict(
            num_classes=3, cls_in_channels=4, reg_in_channels=4, roi_feat_size=3, reg_feat_up_ratio=2,
            cls_out_channels=8, bbox_coder=dict(type='BucketingBBoxCoder', num_buckets=6, scale_factor=1.7),
        )  # fmt: skip
        return build_head(dict(type=kind, **{**cfg, **kwargs}))

    return make


def train(head, results, metas=None, feats=None):
    num = sum(len(res.bboxes) for res in results)
    torch.manual_seed(1)
    scores, boxes = head(torch.randn(num, 4, 3, 3) if feats is None else feats)
    targets = head.get_targets(results, None, None, CFG, img_metas=metas)
    return head.loss(scores, boxes, torch.zeros(num, 5), *targets)


@pytest.mark.parametrize('fcs', [0, 2])
@pytest.mark.parametrize('ratio, size', [(1, 6), (2, 3)])
def test_forward_gives_three_buckets_for_each_side(ratio, size, fcs, make_head):
    head = make_head(roi_feat_size=size, reg_feat_up_ratio=ratio, num_reg_fcs=fcs, reg_post_num=fcs, num_cls_fcs=fcs)
    head.init_weights()
    scores, (buckets, offsets) = head(torch.randn(5, 4, size, size))
    assert (scores.shape, buckets.shape, offsets.shape) == ((5, 4), (5, 12), (5, 12))


def test_sides_run_from_the_edges_inwards(make_head):
    head = make_head()
    assert head.side_aware_split(torch.arange(6)[None]).tolist() == [[0, 1, 2, 5, 4, 3]]
    assert head.side_aware_split(torch.arange(5)[None]).tolist() == [[0, 1, 2, 4, 3, 2]]


def test_a_mirrored_feature_swaps_left_and_right(make_head):
    """With kernels that see one column, mirroring the RoI mirrors what is said of its left and right side."""
    head = make_head(reg_pre_num=0, reg_post_num=0, reg_feat_up_ratio=1, roi_feat_size=6)
    x = torch.randn(2, 4, 6, 6)
    one, mirrored = (head.reg_forward(feats)[0].view(2, 4, 3) for feats in (x, x.flip(3)))
    torch.testing.assert_close(mirrored, one[:, [1, 0, 2, 3]])


def test_attention_is_a_weighted_mean(make_head):
    columns, rows = make_head().attention_pool(torch.full((2, 4, 3, 5), 7.0))
    torch.testing.assert_close((columns, rows), (torch.full((2, 4, 5), 7.0), torch.full((2, 4, 3), 7.0)))


def test_targets_bring_proposals_to_their_objects(make_head, sampled):
    head, res = make_head(), sampled([0, 2], 1)
    labels, label_weights, (buckets, offsets), (_, offset_weights) = head.get_targets([res], None, None, CFG)
    assert labels.tolist() == [0, 2, 3] and label_weights.tolist() == [1, 1, 1]
    assert offset_weights[2].abs().sum() == 0
    boxes, _ = head.bbox_coder.decode(res.pos_bboxes, (buckets[:2] * 100, offsets[:2]))
    torch.testing.assert_close(boxes, res.pos_gt_bboxes)


def test_bucket_target_gives_the_same_by_name(make_head, sampled):
    head, res = make_head(), sampled([1], 2)
    lists = [[part] for part in (res.pos_bboxes, res.neg_bboxes, res.pos_gt_bboxes, res.pos_gt_labels)]
    labels, weights, buckets, bucket_weights, offsets, offset_weights = head.bucket_target(*lists, CFG)
    wanted = head.get_targets([res], None, None, CFG)
    assert labels.equal(wanted[0]) and weights.equal(wanted[1])
    assert buckets.equal(wanted[2][0]) and offsets.equal(wanted[2][1])
    assert bucket_weights.equal(wanted[3][0]) and offset_weights.equal(wanted[3][1])


@pytest.mark.parametrize('counts', [([0, 1], 2), ([], 3), ([], 0)], ids=['mixed', 'negatives', 'none'])
def test_losses_are_complete_finite_and_attached(counts, make_head, sampled):
    head = make_head()
    losses = train(head, [sampled(*counts)])
    assert set(losses) == NAMES
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert counts[0] or losses['loss_bbox_cls'] == losses['loss_bbox_reg'] == 0


@pytest.mark.parametrize('name', sorted(NAMES - {'acc'}))
def test_losses_are_linear_in_the_weight_of_an_image(name, make_head, sampled):
    head, results = make_head('SABLHeadWithWeightPerImage'), [sampled([0, 1], 2), sampled([2], 3)]
    one, none, ten = (train(head, results, [{'roi_head.loss_weight': w}, {}])[name] for w in (1, 0, 10))
    torch.testing.assert_close(one, train(make_head(), results)[name])
    torch.testing.assert_close(ten - none, 10 * (one - none))
    assert one > none > 0


def test_confidence_multiplies_the_scores(make_head):
    head = make_head()
    rois, img_shape = torch.tensor([[0.0, 10, 10, 40, 50]]), (100, 100, 3)
    scores, boxes = torch.tensor([[0.0, 9, 0, 0]]), (torch.zeros(1, 12), torch.zeros(1, 12))
    cfg = ConfigDict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5)
    dets, labels = head.get_bboxes(rois, scores, boxes, img_shape, 2.0, rescale=True, cfg=cfg)
    plain, confidence = head.bbox_coder.decode(rois[:, 1:], boxes, img_shape)
    assert labels.tolist() == [1]
    torch.testing.assert_close(dets[0, :4], plain[0] / 2)
    torch.testing.assert_close(dets[0, 4], scores.softmax(1)[0, 1] * confidence[0])


def test_predictions_are_split_by_image(make_head):
    buckets, offsets = torch.arange(36.0).view(3, 12), torch.arange(36.0).view(3, 12) * 2
    first, second = make_head().bbox_pred_split((buckets, offsets), [1, 2])
    assert first[0].equal(buckets[:1]) and second[1].equal(offsets[1:])


def test_refined_boxes_leave_out_the_ground_truth(make_head):
    head = make_head()
    rois = torch.tensor([[0.0, 1, 1, 30, 30], [0, 5, 5, 40, 40], [1, 2, 2, 20, 20]])
    codes = torch.randn(3, 12), torch.randn(3, 12)
    metas = [dict(img_shape=(60, 60, 3))] * 2
    first, second = head.refine_bboxes(
        rois, torch.zeros(3).long(), codes, [torch.tensor([1]), torch.tensor([0])], metas
    )
    wanted, _ = head.bbox_coder.decode(rois[1:, 1:], (codes[0][1:], codes[1][1:]), (60, 60, 3))
    torch.testing.assert_close((first, second), (wanted[:1], wanted[1:]))


def test_class_wise_boxes_are_refused(make_head):
    with pytest.raises(ValueError, match='reg_class_agnostic must be True'):
        make_head(reg_class_agnostic=False)
