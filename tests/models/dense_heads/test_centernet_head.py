import math

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.corners.heatmaps import heatmap_weights

META = dict(
    img_shape=(16, 16, 3), pad_shape=(16, 16, 3), batch_input_shape=(16, 16), scale_factor=[2.0] * 4,
    border=[2, 14, 4, 12],
)  # fmt: skip
GTS, LABELS = [torch.tensor([[4.0, 2, 10, 8]])], [torch.tensor([1])]  # at stride 4: centre (1.75, 1.25), 1.5 by 1.5


def build(weighted=False, **kwargs):
    torch.manual_seed(0)
    kind = 'CenterNetHead' + 'WithWeightPerImage' * weighted
    return HEADS.build(dict(CASES['CenterNetHead'], type=kind) | kwargs)


def test_targets_by_hand():
    targets, count = build().get_targets(GTS, LABELS, (1, 3, 4, 4), (16, 16, 3))
    heatmap = targets['center_heatmap_target']
    assert heatmap[0, 1].nonzero().tolist() == [[1, 1]] and heatmap.sum() == 1 and count == 1
    assert targets['wh_target'][0, :, 1, 1].tolist() == [1.5, 1.5]
    assert targets['offset_target'][0, :, 1, 1].tolist() == [0.75, 0.25]
    assert targets['wh_offset_target_weight'].sum() == 2


def test_images_of_other_shape_than_square_have_a_ratio_a_side():
    targets, _ = build().get_targets([torch.tensor([[0.0, 0, 32, 16]])], LABELS, (1, 3, 2, 8), (16, 32, 3))
    assert targets['wh_target'][0, :, 1, 4].tolist() == [8, 2]


def test_losses_by_hand():
    scores, sizes, offsets = torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 2, 4, 4), torch.full((1, 2, 4, 4), 0.25)
    losses = build().loss([scores], [sizes], [offsets], GTS, LABELS, [META])
    # each of the 47 negatives and the peak: -log(0.5) * 0.5 ** 2
    wanted = dict(loss_center_heatmap=48 * math.log(2) / 4, loss_wh=0.1 * 3 / 2, loss_offset=0.5 / 2)
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(wanted, rel=1e-5)


def test_weights_of_cells_by_hand():
    head = build(weighted=True)
    target = torch.zeros(2, 3, 1, 3)
    target[0, 1, 0] = torch.tensor([0.5, 1, 0.5])
    scores = torch.tensor([0.9, 0.2, 0.1]).expand(2, 3, 1, 3)
    gts = [torch.tensor([[6.0, 0, 30, 8]]), torch.zeros(0, 4)]
    plain = [dict(bbox_head=1), {}]
    of_classes, of_boxes = heatmap_weights(head, scores, target, gts, plain, (8, 24))
    assert of_classes.flatten().tolist() == [1] * 6 and of_boxes.flatten().tolist() == [0, 1, 0, 0, 0, 0]
    metas = [{'bbox_head.loss_weight': 2.0, 'negatives': dict(type='soft', weight=0.5)}, {'unlabeled_classes': [2]}]
    of_classes, of_boxes = heatmap_weights(head, scores, target, gts, metas, (8, 24))
    assert of_classes[0].tolist() == [[[1, 2, 1]]] * 3
    assert of_classes[1].tolist() == [[[1, 1, 1]], [[1, 1, 1]], [[0, 0, 0]]]
    assert of_boxes[0].tolist() == [[[0, 2, 0]]]
    metas = [{'negatives': dict(type='recalibrate', score_thr=0.5, warmup=0)}, {}]
    of_classes, _ = heatmap_weights(head, scores, target, gts, metas, (8, 24))
    assert of_classes[0].tolist() == [[[0, 1, 1]]] and of_classes[1].tolist() == [[[1, 1, 1]]]
    metas = [{'negatives': dict(type='overlap', floor=0.25)}, {}]
    of_classes, _ = heatmap_weights(head, scores, target, gts, metas, (8, 24))
    assert of_classes[0].flatten().tolist() == pytest.approx(
        [0.25, 1, 1]
    )  # the first cell's middle lies outside the object


def test_detections_by_hand():
    head = build()
    scores, sizes, offsets = torch.full((1, 3, 4, 4), 0.01), torch.full((1, 2, 4, 4), 2.0), torch.zeros(1, 2, 4, 4)
    scores[0, 2, 1, 2], scores[0, 2, 1, 3] = 0.8, 0.7  # the second is no peak
    offsets[0, :, 1, 2] = torch.tensor([0.5, 0.25])
    ((dets, labels),) = head.get_bboxes([scores], [sizes], [offsets], [META], rescale=False)
    # centre (2.5, 1.25), 2 by 2 cells of 4 px, less the border (4, 2)
    torch.testing.assert_close(dets[0], torch.tensor([2.0, -1, 10, 7, 0.8]))
    assert labels[0] == 2 and dets[1:, 4].max() < 0.02
    ((scaled, _),) = head.get_bboxes([scores], [sizes], [offsets], [META])
    torch.testing.assert_close(scaled[0, :4], dets[0, :4] / 2)


def test_suppression_where_it_is_asked_for():
    head = build(test_cfg=dict(topk=8, local_maximum_kernel=3, max_per_img=1, nms=dict(type='nms', iou_threshold=0.5)))
    scores, sizes = torch.rand(1, 3, 4, 4), torch.full((1, 2, 4, 4), 2.0)
    ((dets, labels),) = head.get_bboxes([scores], [sizes], [torch.zeros(1, 2, 4, 4)], [META], with_nms=True)
    assert len(dets) == len(labels) == 1 and dets[0, 4] == scores.max()
    empty = head._bboxes_nms(torch.zeros(0, 5), torch.zeros(0).long(), head.test_cfg)
    assert empty[0].shape == (0, 5)


def test_first_probabilities_and_other_levels():
    head = build()
    head.init_weights()
    torch.testing.assert_close(head.heatmap_head[-1].bias.sigmoid(), torch.full((3,), 0.1))
    maps = [torch.zeros(1, 3, 2, 2)] * 2
    with pytest.raises(ValueError, match='CenterNetHead works on one level, got 2'):
        head.loss(maps, maps, maps, GTS, LABELS, [META])
