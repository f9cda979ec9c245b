"""Faults that people who write a two-stage detector by hand meet, each held off by a test."""

import pytest
import torch

from mmdet.core.bbox.samplers import SamplingResult
from mmdet.core.post_processing import multiclass_nms
from mmdet.models.builder import build_head

POINTS = 5


@pytest.fixture
def detector(build):
    return build('keypoint_rcnn')


def points_in(boxes):
    inner = torch.tensor([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.5, 0.5]])
    xy = boxes[:, None, :2] + inner * (boxes[:, 2:] - boxes[:, :2])[:, None]
    return torch.cat([xy, torch.full((len(boxes), POINTS, 1), 2.0)], 2)


def with_objects(batch, boxes):
    labels = [torch.zeros(len(b), dtype=torch.long) for b in boxes]
    return batch | dict(gt_bboxes=boxes, gt_labels=labels, gt_keypoints=[points_in(b) for b in boxes])


def assert_trains(detector, batch):
    losses = detector.forward_train(**batch)
    total = detector._parse_losses(losses)[0]
    total.backward()
    assert total.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in detector.parameters())
    return losses


def anchor(stride, row, column, ratio, scale=2):
    """An anchor by its definition: its centre at the corner of the cell, sides with height / width = ratio."""
    width, height = stride * scale / ratio**0.5, stride * scale * ratio**0.5
    x, y = column * stride, row * stride
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def test_rpn_targets_lie_at_the_level_cell_and_shape_of_their_anchor(batch, small_config):
    """Scores that are high exactly where an object's anchor is, and no offsets: nothing is left to learn."""
    ratios = [0.5, 1.0, 2.0]
    small = small_config('rpn')
    cfg = small['rpn_head']
    cfg['anchor_generator']['ratios'] = ratios
    train_cfg = small['train_cfg']['rpn']
    train_cfg['sampler'] = dict(train_cfg['sampler'], num=10000)
    head = build_head(cfg | dict(train_cfg=train_cfg, test_cfg=small['test_cfg']['rpn']))
    places = [(0, 1, 3, 0), (0, 3, 1, 2), (1, 1, 2, 1)]  # level, row, column, ratio
    boxes = torch.tensor([anchor((8, 16)[level], row, col, ratios[a]) for level, row, col, a in places])
    scores = [torch.full((1, 3, rows, columns), -20.0) for rows, columns in ((4, 6), (2, 3))]
    for level, row, column, a in places:
        scores[level][0, a, row, column] = 20.0
    deltas = [torch.zeros(1, 12, *score.shape[2:]) for score in scores]
    losses = head.loss(scores, deltas, [boxes], batch['img_metas'][:1])
    assert sum(losses['loss_rpn_cls']).item() < 1e-6 and sum(losses['loss_rpn_bbox']).item() < 1e-6
    moved = [scores[0].transpose(2, 3).reshape(scores[0].shape), scores[1]]
    assert sum(head.loss(moved, deltas, [boxes], batch['img_metas'][:1])['loss_rpn_cls']).item() > 0.1


def test_images_without_objects_train_on_zeros_that_reach_every_parameter(detector, batch):
    losses = assert_trains(detector, with_objects(batch, [torch.zeros(0, 4)] * 2))
    assert losses['loss_keypoint'] == 0 and losses['loss_bbox'] == 0
    assert losses['loss_cls'] > 0


def test_no_proposals_at_all_train_and_test(detector, batch):
    feats = detector.extract_feat(batch['img'])
    none, empty = [torch.zeros(0, 5)] * 2, with_objects(batch, [torch.zeros(0, 4)] * 2)
    keys = ('gt_bboxes', 'gt_labels', 'gt_keypoints')
    losses = detector.roi_head.forward_train(feats, batch['img_metas'], none, **{k: empty[k] for k in keys})
    total = detector._parse_losses(losses)[0]
    total.backward()
    assert total == 0 and all(p.grad is not None for p in detector.roi_head.parameters())
    for boxes, _, keypoints in detector.roi_head.simple_test(feats, none, batch['img_metas'], rescale=True):
        assert not sum(map(len, boxes)) and [k.shape for k in keypoints] == [(0, POINTS, 3)] * 3


def test_rois_that_clipping_left_empty_stay_finite(detector, batch):
    full = with_objects(batch, [torch.tensor([[8.0, 8, 24, 24]]), torch.zeros(0, 4)])
    line, point = [48.0, 4, 48, 20, 0.9], [48.0, 32, 48, 32, 0.8]  # on the border, without width
    proposals = [torch.tensor([line, point]), torch.tensor([point])]
    feats = detector.extract_feat(batch['img'])
    keys = ('gt_bboxes', 'gt_labels', 'gt_keypoints')
    losses = detector.roi_head.forward_train(feats, batch['img_metas'], proposals, **{k: full[k] for k in keys})
    assert all(value.isfinite().all() for value in losses.values())
    results = detector.roi_head.simple_test(feats, proposals, batch['img_metas'], rescale=True)
    assert all(torch.tensor(k).isfinite().all() for _, _, keypoints in results for k in keypoints)


def test_crowds_are_neither_positives_nor_background(build, small_config, batch):
    full = with_objects(batch, [torch.tensor([[8.0, 8, 24, 24]])] * 2)
    assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, ignore_iof_thr=0.5)
    train_cfg = small_config('keypoint_rcnn')['train_cfg']
    train_cfg['rcnn']['assigner'] = assigner
    detector = build('keypoint_rcnn', train_cfg=train_cfg)
    crowd = torch.tensor([[28.0, 0, 48, 32]])
    proposals = [torch.tensor([[30.0, 2, 44, 28]])] * 2
    sampled = detector.roi_head._sample(
        detector.extract_feat(batch['img']), batch['img_metas'], proposals, full['gt_bboxes'], full['gt_labels'],
        [crowd, torch.zeros(0, 4)],
    )  # fmt: skip
    assert [len(s.neg_bboxes) for s in sampled] == [0, 1]  # inside a crowd it is no background
    assert [s.pos_bboxes.tolist() for s in sampled] == [[[8, 8, 24, 24]]] * 2


def test_no_gradient_goes_through_the_coordinates_of_rois(detector, batch):
    full = with_objects(batch, [torch.tensor([[8.0, 8, 24, 24]]), torch.tensor([[20.0, 2, 46, 30]])])
    feats = [feat.detach() for feat in detector.extract_feat(batch['img'])]
    _, proposals = detector.rpn_head.forward_train(
        feats, batch['img_metas'], full['gt_bboxes'], proposal_cfg=detector.test_cfg.rpn
    )
    assert not any(p.requires_grad for p in proposals)
    losses = detector.roi_head.forward_train(
        feats, batch['img_metas'], [p.clone().requires_grad_() for p in proposals], full['gt_bboxes'],
        full['gt_labels'], gt_keypoints=full['gt_keypoints'],
    )  # fmt: skip
    detector._parse_losses(losses)[0].backward()
    assert all(p.grad is None for p in detector.rpn_head.parameters())
    assert all(p.grad is not None for p in detector.roi_head.parameters())


def test_large_object_is_found_once_and_its_large_neighbour_too():
    """Near copies of a large box (IoU 0.85) go, a second large object that overlaps by 0.4 stays."""
    boxes = torch.tensor([[0.0, 0, 200, 200], [8, 8, 208, 208], [0, 12, 200, 212], [86, 0, 286, 200]])
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    dets, _ = multiclass_nms(boxes, scores, 0.5, dict(type='nms', iou_threshold=0.5), 100)
    assert dets[:, :4].tolist() == [boxes[0].tolist(), boxes[3].tolist()]


def test_keypoints_of_overlapping_large_objects_are_not_mixed_up(detector):
    """Each RoI learns the points of the object that it overlaps most, not those of the first that overlaps enough."""
    gts = torch.tensor([[0.0, 0, 100, 100], [30, 0, 130, 100]])
    proposals = torch.tensor([[26.0, 0, 126, 100], [4, 0, 104, 100]])
    assigner = detector.roi_head.bbox_assigner
    assigned = assigner.assign(proposals, gts, None, torch.tensor([0, 0]))
    assert assigned.gt_inds.tolist() == [2, 1]
    sampled = SamplingResult(torch.arange(2), torch.zeros(0).long(), proposals, gts, assigned, torch.zeros(2))
    head = detector.roi_head.keypoint_head
    targets = head.get_targets([sampled], [points_in(gts)])
    centre = targets.positions[:, 4]
    size = head.heatmap_size
    assert (centre % size).tolist() == [int(54 / 100 * size), int(46 / 100 * size)]
    assert (centre // size == size // 2).all()
