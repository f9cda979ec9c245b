import pytest
import torch

A_LOT = 20.0  # a logit whose sigmoid is 1 in float32


def maps_of(*cells, num_classes=2, size=2):
    """Maps with all logits low but those of ``cells`` (class, y, x, logit); deltas are 0, so anchors are boxes."""
    scores = torch.full((1, num_classes, size, size), -A_LOT)
    for label, y, x, logit in cells:
        scores[0, label, y, x] = logit
    return [scores], [torch.zeros(1, 4, size, size)]


@pytest.fixture
def head(build_head):
    return build_head('AnchorHead', num_classes=2)


def test_get_bboxes_by_hand(head, meta):
    maps = maps_of((1, 1, 1, 0.0), (0, 1, 0, A_LOT))
    dets, labels = head.get_bboxes(*maps, img_metas=[meta(10, 11)])[0]
    # (-4, 4, 4, 12) and (4, 4, 12, 12), clipped to the image
    torch.testing.assert_close(dets, torch.tensor([[0.0, 4, 4, 10, 1.0], [4, 4, 11, 10, 0.5]]))
    assert labels.tolist() == [0, 1]


def test_get_bboxes_rescales_to_the_original_image(head, meta):
    image = meta(scale_factor=[2.0, 4.0, 2.0, 4.0])
    dets, _ = head.get_bboxes(*maps_of((0, 1, 1, 0.0)), img_metas=[image], rescale=True)[0]
    torch.testing.assert_close(dets, torch.tensor([[2.0, 1.0, 6.0, 3.0, 0.5]]))


def test_get_bboxes_without_suppression_gives_boxes_scores_labels(head, meta):
    bboxes, scores, labels = head.get_bboxes(*maps_of((1, 0, 1, 0.0)), img_metas=[meta()], with_nms=False)[0]
    assert bboxes.tolist() == [[4, 0, 12, 4]]
    assert (scores.tolist(), labels.tolist()) == ([0.5], [1])


def test_get_bboxes_suppresses_within_a_class_only(build_head, meta):
    close = dict(type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[8])  # 32 px wide, 8 px apart: IoU 0.6
    head = build_head('AnchorHead', num_classes=2, anchor_generator=close)
    maps = maps_of((0, 4, 4, 2.0), (0, 4, 5, 1.0), (1, 4, 5, 0.0), size=10)
    dets, labels = head.get_bboxes(*maps, img_metas=[meta(80, 80)])[0]
    assert labels.tolist() == [0, 1]
    assert dets[:, 0].tolist() == [16, 24]


@pytest.mark.parametrize('test, number', [(dict(max_per_img=1), 1), (dict(nms_pre=1), 1), (dict(nms_pre=-1), 3)])
def test_get_bboxes_limits(build_head, meta, test, number):
    head = build_head('AnchorHead', test=test, num_classes=2)
    maps = maps_of((0, 0, 0, 1.0), (0, 1, 1, 2.0), (1, 1, 0, 3.0))
    dets, labels = head.get_bboxes(*maps, img_metas=[meta()])[0]
    assert len(dets) == len(labels) == number
    assert labels[0] == 1


def test_get_bboxes_multiplies_score_factors(head, meta):
    maps = maps_of((0, 0, 0, A_LOT))
    dets, _ = head.get_bboxes(*maps, [torch.zeros(1, 1, 2, 2)], img_metas=[meta()])[0]
    assert dets[:, 4].tolist() == [0.5]


def test_get_bboxes_of_nothing_is_empty(head, meta):
    (dets, labels), _ = head.get_bboxes(*[m.expand(2, -1, -1, -1)[None] for (m,) in maps_of()], img_metas=[meta()] * 2)
    assert dets.shape == (0, 5)
    assert labels.shape == (0,)


def test_get_bboxes_with_softmax_leaves_out_the_background(build_head, meta):
    head = build_head('AnchorHead', num_classes=2, loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))
    scores, deltas = maps_of(num_classes=3)
    scores[0][0, 2] = A_LOT  # background everywhere
    scores[0][0, 1, 0, 0] = A_LOT  # and class 1 as likely in one cell
    dets, labels = head.get_bboxes(scores, deltas, img_metas=[meta()])[0]
    assert labels.tolist() == [1]
    assert dets[0, 4].item() == pytest.approx(0.5)


def test_get_bboxes_with_different_numbers_of_levels_says_so(head, meta):
    scores, deltas = maps_of()
    with pytest.raises(ValueError, match='1 levels of class scores, but 2 of box predictions'):
        head.get_bboxes(scores, deltas * 2, img_metas=[meta()])


def test_forward_train_gives_two_values_with_proposals_and_keeps_detached_scores(build_head, meta):
    head = build_head()
    feats, gts = [torch.rand(1, 4, 2, 2, requires_grad=True)], [torch.tensor([[4.0, 4, 12, 12]])]
    assert head.forward_train(feats, [meta()], gts).keys() == {'loss_rpn_cls', 'loss_rpn_bbox'}
    assert head.last_objectness is None
    losses, proposals = head.forward_train(feats, [meta()], gts, proposal_cfg=head.test_cfg, gt_masks=None)
    assert losses.keys() == {'loss_rpn_cls', 'loss_rpn_bbox'}
    assert proposals[0].shape == (4, 5)
    (kept,) = head.last_objectness
    assert not kept.requires_grad
    torch.testing.assert_close(kept, head(feats)[0][0].detach())


def test_init_weights_starts_offsets_of_deformable_convolutions_at_zero(head):
    head.offsets = torch.nn.Module()
    head.offsets.conv_offset = torch.nn.Conv2d(4, 18, 3)
    head.init_weights()
    assert not head.offsets.conv_offset.weight.any()
    assert head.conv_cls.weight.any()
