import pytest
import torch
from mmcv.runner import load_state_dict

TWO_LEVELS = dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[8, 8])


def maps_of(scores):
    """Object logits, nested lists (L, H, W), and deltas of 0, so that the anchors are the boxes."""
    levels = [torch.tensor(level)[None, None] for level in scores]
    return levels, [torch.zeros(1, 4, *level.shape[-2:]) for level in levels]


def test_several_convolutions_keep_their_checkpoint_keys(build_head):
    assert {k for k in build_head().state_dict() if 'conv' in k} == {'rpn_conv.weight', 'rpn_conv.bias'}
    keys = build_head(num_convs=2).state_dict()
    assert {k for k in keys if 'conv' in k} == {f'rpn_conv.{i}.conv.{p}' for i in (0, 1) for p in ('weight', 'bias')}


def test_no_convolution_is_refused(build_head):
    with pytest.raises(ValueError, match='num_convs: expected at least 1, got 0'):
        build_head(num_convs=0)


def test_scores_see_the_rectified_features_only(build_head):
    head = build_head()
    with torch.no_grad():
        head.rpn_conv.weight.zero_()
        head.rpn_conv.bias.fill_(-1)
    scores, deltas = head.forward_single(torch.randn(1, 4, 2, 2))
    assert scores.unique().equal(head.rpn_cls.bias)
    assert deltas[0, :, 0, 0].equal(head.rpn_reg.bias)


def test_proposals_are_suppressed_level_by_level_and_sorted(build_head, meta):
    head = build_head(anchor_generator=TWO_LEVELS)
    maps = maps_of([[[0.0, -1.0], [1.0, 2.0]], [[-2.0, -3.0], [-4.0, 3.0]]])
    (proposals,) = head.get_bboxes(*maps, img_metas=[meta()])
    logits = torch.tensor([3.0, 2, 1, 0, -1, -2, -3, -4])  # equal boxes of two levels both stay
    torch.testing.assert_close(proposals[:, 4], logits.sigmoid())
    assert proposals[0, :4].tolist() == proposals[1, :4].tolist() == [4, 4, 12, 12]


def test_proposals_nms_pre_counts_for_each_level_and_max_per_img_for_all(build_head, meta):
    maps = maps_of([[[0.0, -1.0], [1.0, 2.0]], [[-2.0, -3.0], [-4.0, 3.0]]])
    head = build_head(anchor_generator=TWO_LEVELS, test=dict(nms_pre=1))
    assert head.get_bboxes(*maps, img_metas=[meta()])[0][:, 4].tolist() == torch.tensor([3.0, 2.0]).sigmoid().tolist()
    head = build_head(anchor_generator=TWO_LEVELS, test=dict(max_per_img=3))
    assert len(head.get_bboxes(*maps, img_metas=[meta()])[0]) == 3


def test_proposals_of_equal_scores_are_cut_in_the_order_of_sort(build_head, meta):
    """Scores of sigmoids saturate at 1; topk would leave other boxes."""
    head = build_head(test=dict(nms_pre=5))
    (proposals,) = head.get_bboxes(*maps_of([[[20.0] * 20] * 20]), img_metas=[meta(200, 200)])
    cells = torch.ones(400).sort(descending=True).indices[:5].tolist()
    wanted = {(max(x - 4, 0), max(y - 4, 0), x + 4, y + 4) for x, y in ((k % 20 * 8, k // 20 * 8) for k in cells)}
    assert {tuple(box) for box in proposals[:, :4].tolist()} == wanted


@pytest.mark.parametrize('min_size, number', [(-1, 4), (0, 4), (3.5, 4), (4, 1)])
def test_proposals_must_be_larger_than_min_bbox_size(build_head, meta, min_size, number):
    """Clipped to the image, three of the four anchors have a side of 4 px."""
    head = build_head(test=dict(min_bbox_size=min_size))
    (proposals,) = head.get_bboxes(*maps_of([[[0.0, 0.0], [0.0, 0.0]]]), img_metas=[meta()])
    assert proposals.shape == (number, 5)


def test_proposals_may_be_none(build_head, meta):
    head = build_head(test=dict(min_bbox_size=100))
    (proposals,) = head.get_bboxes(*maps_of([[[0.0, 0.0], [0.0, 0.0]]]), img_metas=[meta()])
    assert proposals.shape == (0, 5)


def test_softmax_has_the_object_in_channel_zero(build_head, meta):
    head = build_head(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 0, 1, 1] = torch.tensor(3.0).log()
    (proposals,) = head.get_bboxes([logits], [torch.zeros(1, 4, 2, 2)], img_metas=[meta()])
    assert proposals[0].tolist() == pytest.approx([4, 4, 12, 12, 0.75])


def test_old_checkpoint_with_an_unused_convolution_loads(build_head, capsys):
    old = build_head()
    with torch.no_grad():
        old.rpn_cls.bias.fill_(7)
    state = old.state_dict() | {'rpn_my_cls.weight': torch.zeros(1, 4, 1, 1), 'rpn_my_cls.bias': torch.zeros(1)}
    new = build_head()
    load_state_dict(new, state)
    assert 'rpn_my_cls.weight' in capsys.readouterr().out
    assert new.rpn_cls.bias.tolist() == [7]
    assert not hasattr(new, 'rpn_my_cls')


@pytest.mark.parametrize(('least', 'count'), [(None, 4), (0.5, 3), (0.50001, 2), (0.99, 0)])
def test_proposals_below_min_score_are_dropped_and_those_at_it_stay(build_head, meta, least, count):
    head = build_head(test={} if least is None else dict(min_score=least))
    (proposals,) = head.get_bboxes(*maps_of([[[0.0, -1.0], [1.0, 2.0]]]), img_metas=[meta()])
    assert len(proposals) == count and (proposals[:, 4] >= (least or 0)).all()
