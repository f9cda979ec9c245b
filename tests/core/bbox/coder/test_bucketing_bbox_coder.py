import torch
from bbox_coders_cases import BOX, some_boxes
from torch.testing import assert_close

from mmdet.core.bbox.coder import BucketingBBoxCoder
from mmdet.core.bbox.coder.bucketing_bbox_coder import bbox2bucket, generate_buckets, split_targets
from mmdet.core.targets import Targets


def test_buckets_run_inwards_from_each_side():
    middles, _ = generate_buckets(torch.tensor([[0.0, 0, 8, 16]]), num_buckets=4, scale_factor=1.0)
    assert middles[0].tolist() == [[1, 3], [7, 5], [2, 6], [14, 10]]


def test_bucketing_targets_by_hand():
    prior, gt = torch.tensor([[0.0, 0, 8, 16]]), torch.tensor([[1.5, 0, 8, 16]])
    offsets, weights, labels, label_weights = bbox2bucket(prior, gt, 4, 1.0)
    assert_close(offsets[0, :2], torch.tensor([-0.25, 0.75]))
    assert weights.tolist() == [[1, 1, 1, 0, 1, 0, 1, 0]]
    assert labels.tolist() == [[1, 0, 1, 0, 1, 0, 1, 0]]
    assert label_weights.tolist() == [[1, 0, 1, 1, 1, 1, 1, 1]]
    assert bbox2bucket(prior, gt, 4, 1.0, cls_ignore_neighbor=False)[3].tolist() == [[1] * 8]


def test_bucketing_learns_offsets_of_two_buckets_a_side_unless_told_otherwise():
    prior = torch.tensor([[0.0, 0, 12, 12]])
    for settings, count in ((dict(), 2), (dict(offset_topk=3), 3)):
        weights = bbox2bucket(prior, prior + 3, 6, 1.0, offset_upperbound=9, **settings)[1]
        assert weights.view(4, 3).sum(1).tolist() == [count] * 4


def test_targets_and_weights_are_split_between_buckets_and_offsets():
    columns = torch.arange(32.0).reshape(1, 2, 16)
    *_, buckets, bucket_weights, offsets, offset_weights = split_targets(
        Targets(torch.zeros(1, 2), torch.ones(1, 2), columns, -columns)
    )
    assert buckets.tolist() == columns[..., :8].tolist() and offsets.tolist() == columns[..., 8:].tolist()
    assert torch.equal(bucket_weights, -buckets) and torch.equal(offset_weights, -offsets)


def test_bucketing_decodes_what_it_encoded():
    coder, priors, gts = BucketingBBoxCoder(num_buckets=14, scale_factor=1.7), some_boxes(4), some_boxes(5)
    offsets, _, labels, _ = coder.encode(priors, gts)
    boxes, confidence = coder.decode(priors, (labels * 50, offsets))
    assert_close(boxes, gts, rtol=1e-4, atol=1e-4)
    assert_close(confidence, torch.ones(6))


def test_bucketing_confidence_adds_a_neighbour():
    logits = torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.1, 0.3], [0.1, 0.6, 0.3], [0.6, 0.1, 0.3]]).log().reshape(1, 12)
    _, confidence = BucketingBBoxCoder(6, 1.0).decode(BOX, (logits, torch.zeros(1, 12)))
    assert_close(confidence, torch.tensor([(0.9 + 0.6) / 2]))
