"""Box coders: hand-computed numbers, round trips, gradients."""

import math

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.bbox import build_bbox_coder
from mmdet.core.bbox.coder import BucketingBBoxCoder, DeltaXYWHBBoxCoder, YOLOBBoxCoder
from mmdet.core.bbox.coder.bucketing_bbox_coder import bbox2bucket, generate_buckets
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import delta2bbox
from mmdet.core.bbox.coder.tblr_bbox_coder import bboxes2tblr, tblr2bboxes
from mmdet.core.bbox.demodata import random_boxes

ROUND_TRIPS = {
    'delta': dict(type='DeltaXYWHBBoxCoder', target_means=(0.1, 0, 0.2, 0), target_stds=(0.1, 0.1, 0.2, 0.2)),
    'tblr': dict(type='TBLRBBoxCoder', normalizer=4.0),
    'tblr_each': dict(type='TBLRBBoxCoder', normalizer=[1.0, 2.0, 3.0, 4.0]),
    'pseudo': dict(type='PseudoBBoxCoder'),
    'distance': dict(type='DistancePointBBoxCoder'),
}
BOX = torch.tensor([[0.0, 0, 10, 20]])


def some_boxes(seed, count=6):
    boxes = random_boxes(count, 30, seed)
    return torch.cat([boxes[:, :2], boxes[:, 2:] + 3], dim=1)


@pytest.mark.parametrize('name', ROUND_TRIPS)
def test_coders_decode_what_they_encoded(name):
    coder, priors, gts = build_bbox_coder(ROUND_TRIPS[name]), some_boxes(0), some_boxes(1)
    priors = priors[:, :2] if name == 'distance' else priors
    assert_close(coder.decode(priors, coder.encode(priors, gts)), gts)


@pytest.mark.parametrize('name', [name for name in ROUND_TRIPS if name != 'pseudo'])
def test_coders_name_unequal_numbers_of_boxes(name):
    coder, priors = build_bbox_coder(ROUND_TRIPS[name]), some_boxes(0)[:, : 2 if name == 'distance' else 4]
    with pytest.raises(ValueError, match='encode: .* differ in the number of boxes'):
        coder.encode(priors, some_boxes(1)[:2])
    with pytest.raises(ValueError, match='decode: .* differ in the number of boxes'):
        coder.decode(priors, some_boxes(1)[:2])


def test_delta_encode_by_hand():
    deltas = DeltaXYWHBBoxCoder(target_stds=(1, 1, 2, 2)).encode(BOX, torch.tensor([[5.0, 5, 25, 25]]))
    assert_close(deltas, torch.tensor([[1.0, 0.25, math.log(2) / 2, 0]]))


def test_delta_decode_clips_growth_and_border():
    deltas = torch.tensor([[0.0, 0, 100, -100]])
    width, height = 10 * 0.5**-1, 20 * 0.5
    want = [5 - width / 2, 10 - height / 2, 5 + width / 2, 10 + height / 2]
    assert_close(delta2bbox(BOX, deltas, wh_ratio_clip=0.5), torch.tensor([want]))
    clipped = delta2bbox(BOX, deltas, wh_ratio_clip=0.5, max_shape=(14, 12, 3))
    assert_close(clipped, torch.tensor([[0.0, 5, 12, 14]]))
    assert_close(delta2bbox(BOX, deltas, max_shape=(1, 1), wh_ratio_clip=0.5, clip_border=False), torch.tensor([want]))


def test_delta_decode_centre_clamp_bounds_way_and_growth_only():
    deltas = torch.tensor([[9.0, -9, -100, 100]])
    boxes = delta2bbox(BOX, deltas, add_ctr_clamp=True, ctr_clamp=3, wh_ratio_clip=0.5)
    assert_close(boxes, torch.tensor([[8.0, -13, 8, 27]]))


def test_delta_decode_classes_and_batches_equal_the_loop():
    rois, deltas = some_boxes(2, 8).reshape(2, 4, 4), torch.randn(2, 4, 12)
    coder, shapes = DeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2)), [(20, 30), (25, 15)]
    batch = coder.decode(rois, deltas, max_shape=shapes)
    for i, shape in enumerate(shapes):
        assert_close(coder.decode(rois[i], deltas[i], max_shape=shape), batch[i])
        for k in range(0, 12, 4):
            single = coder.decode(rois[i], deltas[i, :, k : k + 4], max_shape=shape)
            assert_close(batch[i, :, k : k + 4], single)


def test_delta_decode_empty_keeps_width():
    assert DeltaXYWHBBoxCoder().decode(torch.zeros(0, 4), torch.zeros(0, 8), max_shape=(4, 4)).shape == (0, 8)


def test_delta_gradcheck():
    rois, deltas = some_boxes(3).double(), torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: delta2bbox(rois, d, max_shape=(20, 20)), deltas)


def test_legacy_delta_counts_the_last_pixel():
    coder = build_bbox_coder(dict(type='LegacyDeltaXYWHBBoxCoder'))
    prior, gt = torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([[0.0, 0, 19, 4]])
    deltas = coder.encode(prior, gt)
    assert_close(deltas, torch.tensor([[0.5, -0.25, math.log(2), math.log(0.5)]]))
    half = torch.tensor([[-0.5, -0.5, 0.5, 0.5]])
    assert_close(coder.decode(prior, deltas), gt + half)
    assert_close(coder.decode(prior, deltas, max_shape=(4, 8)), torch.tensor([[0.0, 0, 7, 3]]))


def test_tblr_by_hand_and_in_pixels():
    gt = torch.tensor([[1.0, 6, 9, 18]])
    assert_close(bboxes2tblr(BOX, gt, normalizer=2.0), torch.tensor([[0.1, 0.2, 0.2, 0.2]]))
    pixels = bboxes2tblr(BOX, gt, normalizer=1.0, normalize_by_wh=False)
    assert_close(pixels, torch.tensor([[4.0, 8, 4, 4]]))
    boxes = tblr2bboxes(BOX, pixels, normalizer=1.0, normalize_by_wh=False, max_shape=(15, 8))
    assert_close(boxes, torch.tensor([[1.0, 6, 8, 15]]))


def test_yolo_coder_by_hand_and_round_trip():
    prior, gt = torch.tensor([[4.0, 4, 12, 12]]), torch.tensor([[6.0, 3, 14, 19]])
    target = YOLOBBoxCoder().encode(prior, gt, stride=8)
    assert_close(target, torch.tensor([[0.75, 0.875, 0, math.log(2)]]))
    assert_close(YOLOBBoxCoder().decode(prior, target, stride=torch.tensor([8])), gt)


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


def test_bucketing_decodes_what_it_encoded():
    coder, priors, gts = BucketingBBoxCoder(num_buckets=14, scale_factor=1.7), some_boxes(4), some_boxes(5)
    offsets, _, labels, _ = coder.encode(priors, gts)
    boxes, confidence = coder.decode(priors, (labels * 50, offsets))
    assert_close(boxes, gts, rtol=1e-4, atol=1e-4)
    assert_close(confidence, torch.ones(6))


def test_bucketing_confidence_adds_a_neighbour():
    logits = torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.1, 0.3], [0.6, 0.3, 0.1], [0.6, 0.1, 0.3]]).log().reshape(1, 12)
    _, confidence = BucketingBBoxCoder(6, 1.0).decode(BOX, (logits, torch.zeros(1, 12)))
    assert_close(confidence, torch.tensor([(0.9 + 0.6) / 2]))
