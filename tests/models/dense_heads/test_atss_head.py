"""ATSS and GFL, whose assigner looks at the levels one by one."""

import math

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.gfl_head import GFLHead, Integral

GN = dict(type='GN', num_groups=2)
GIOU = dict(type='GIoULoss', loss_weight=2.0)
TWO_LEVELS = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
KINDS = dict(
    ATSSHead=dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True), loss_bbox=GIOU),
    GFLHead=dict(loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True), loss_bbox=GIOU, reg_max=4),
)
GTS = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [12, 1, 31, 22]])]
LABELS = [torch.tensor([1]), torch.tensor([0, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


class WeightedATSSHead(HeadWithWeightPerImage, ATSSHead):
    pass


class WeightedGFLHead(HeadWithWeightPerImage, GFLHead):
    pass


for _head in (WeightedATSSHead, WeightedGFLHead):
    HEADS.register_module(module=_head, force=True)


@pytest.fixture
def build(build_head):
    def make(kind, **kwargs):
        train = dict(assigner=dict(type='ATSSAssigner', topk=3), sampler=None) | kwargs.pop('train', {})
        common = dict(num_classes=3, stacked_convs=1, anchor_generator=TWO_LEVELS, norm_cfg=GN)
        return build_head(kind, train, dict(score_thr=0.0), **common | KINDS[kind.removeprefix('Weighted')] | kwargs)

    return make


def feats(num=2):
    torch.manual_seed(1)
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]


def targets_of(head, metas, **kwargs):
    anchors, flags = head.get_anchors([(4, 4), (2, 2)], metas, device='cpu')
    return head.get_targets(anchors, flags, GTS, metas, gt_labels_list=LABELS, **kwargs)


@pytest.mark.parametrize('kind', KINDS)
def test_targets_are_the_objects_boxes(build, meta, kind):
    anchors, labels, label_weights, bbox_targets, bbox_weights, num_pos, num_neg = targets_of(
        build(kind), [meta(32, 32)] * 2
    )
    assert [level.shape for level in anchors] == [(2, 16, 4), (2, 4, 4)]
    positive = labels[0] < 3
    assert positive.any(1).all()
    assert positive.sum() + (labels[1] < 3).sum() == num_pos == 40 - num_neg
    assert bbox_targets[0][0][positive[0]].unique(dim=0).tolist() == GTS[0].tolist()
    assert labels[0][0][positive[0]].unique().tolist() == [1]
    assert bbox_weights[0][..., 0].equal(positive.float())
    assert (label_weights[0] == 1).all()


@pytest.mark.parametrize('kind', KINDS)
def test_anchors_beyond_the_border_are_left_out(build, meta, kind):
    head, metas = build(kind, train=dict(allowed_border=0)), [meta(32, 32)] * 2
    _, _, weights, *_ = targets_of(head, metas)
    assert weights[0].sum() == 2 * 4  # of 16 px, the 2x2 whose centres are 8 and 16
    anchors, *_, label_weights = targets_of(head, metas, unmap_outputs=True)[:3]
    assert label_weights[1].sum() == 0  # 32 px wide around 0 or 16 px
    flat, flags = torch.cat([a[0] for a in anchors]), torch.ones(20, dtype=torch.bool)
    inside, labels, *_ = head._get_target_single(
        flat, flags, [16, 4], GTS[0], None, LABELS[0], metas[0], unmap_outputs=False
    )  # fmt: skip
    assert inside.shape == (4, 4)
    assert labels.shape == (4,)
    assert inside.amin() == 0


@pytest.mark.parametrize('kind', KINDS)
def test_number_of_flags_of_each_level(build, kind):
    flags = torch.tensor([True, False, True, True])
    assert build(kind).get_num_level_anchors_inside([3, 1], flags) == [2, 1]


@pytest.mark.parametrize('kind', KINDS)
def test_loss_without_objects_is_zero_but_for_classes_and_attached(build, meta, kind):
    head = build(kind)
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert all(sum(value) == 0 for name, value in losses.items() if name != 'loss_cls')
    sum(sum(value) for value in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize('kind', ['WeightedATSSHead', 'WeightedGFLHead'])
def test_every_loss_is_linear_in_the_images_weights(build, meta, kind):
    head, x = build(kind), feats()

    def of(*weights):
        metas = [meta(32, 32, **{'rpn_head.loss_weight': weight}) for weight in weights]
        losses = head.loss(*head(x), GTS, LABELS, metas)
        return torch.stack([sum(value) for value in losses.values()])

    assert (of(1, 1) > 0).all()
    torch.testing.assert_close(of(3, 0.5), 3 * of(1, 0) + 0.5 * of(0, 1))


@pytest.mark.parametrize('kind', KINDS)
def test_boxes_of_a_batch_equal_those_of_its_images(build, meta, kind):
    head, x, metas = build(kind), feats(), [meta(32, 32), meta(30, 28)]
    for i, (dets, labels) in enumerate(head.get_bboxes(*head(x), img_metas=metas)):
        alone = head.get_bboxes(*head([level[i : i + 1] for level in x]), img_metas=metas[i : i + 1])[0]
        torch.testing.assert_close(dets, alone[0])
        assert labels.equal(alone[1])
        assert len(dets) == 10


def test_centreness_of_anchors_by_hand(build):
    gts = torch.tensor([[0.0, 0, 16, 16], [4, 0, 14, 16]])
    anchors = torch.tensor([[4.0, 4, 12, 12], [2, 4, 10, 12]])
    torch.testing.assert_close(build('ATSSHead').centerness_target(anchors, gts), torch.tensor([1.0, 0.5]))


def test_atss_box_loss_by_hand(build, meta):
    """One positive whose anchor is half of its object; without deltas, GIoU is IoU, 1 / 2."""
    one = dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[8], centers=[(4, 4)])
    head = build('ATSSHead', anchor_generator=one, train=dict(assigner=dict(type='ATSSAssigner', topk=1)))
    maps = [torch.zeros(1, c, 1, 1) for c in (3, 4, 1)]
    weights = dict(labels=torch.tensor([[1]]), label_weights=torch.ones(1, 1))
    gts = torch.tensor([[[0.0, 0, 16, 8]]])
    losses = head.loss_single(torch.tensor([[[0.0, 0, 8, 8]]]), *maps, **weights, bbox_targets=gts, num_total_samples=2)
    centreness = math.sqrt(4 / 12)
    assert losses[1].item() == pytest.approx(2 * centreness / 2, rel=1e-5)
    assert losses[2].item() == pytest.approx(math.log(2) / 2)
    assert losses[3].item() == pytest.approx(centreness)


def test_integral_by_hand():
    logits = torch.full((2, 4 * 3), -50.0)
    logits[0, [0, 4, 8, 9]] = 50.0  # 0, 1, 2, 0
    logits[1] = 0
    torch.testing.assert_close(Integral(2)(logits), torch.tensor([[0.0, 1, 2, 0], [1, 1, 1, 1]]))


def test_gfl_quality_is_the_overlap(build):
    """Distances of one stride around a centre in the middle of a box of two strides: IoU 1, so no box loss."""
    head = build('GFLHead')
    logits = torch.full((1, 4, 5, 1, 1), -50.0)
    logits[:, :, 1] = 50
    scores = torch.full((1, 3, 1, 1), -50.0)
    scores[0, 2] = 50
    args = (torch.tensor([[[4.0, 4, 12, 12]]]), scores, logits.view(1, 20, 1, 1), torch.tensor([[2]]), torch.ones(1, 1))
    right = head.loss_single(*args, torch.tensor([[[0.0, 0, 16, 16]]]), (8, 8), 1)
    assert [value.item() for value in right] == pytest.approx([0, 0, 0, 1], abs=1e-5)
    wider = head.loss_single(*args, torch.tensor([[[0.0, 0, 24, 16]]]), (8, 8), 1)
    assert wider[1].item() == pytest.approx(2 * (1 - 2 / 3), rel=1e-5)
    assert wider[0] > 1  # the score says 1, but the box fits by 2 / 3


def test_gfl_boxes_are_distances_in_strides(build, meta):
    head = build('GFLHead')
    logits = torch.full((1, 4, 5, 2, 2), -50.0)
    logits[:, :, 1] = 50
    scores = [torch.full((1, 3, 4, 4), -50.0), torch.full((1, 3, 2, 2), -50.0)]
    scores[1][0, 1, 1, 0] = 50
    maps = scores, [torch.zeros(1, 20, 4, 4), logits.view(1, 20, 2, 2)]
    dets, labels = head.get_bboxes(*maps, img_metas=[meta(40, 40)], cfg=head.test_cfg | dict(score_thr=0.5))[0]
    assert labels.tolist() == [1]
    torch.testing.assert_close(dets[0], torch.tensor([0.0, 0, 16, 32, 1]))  # 16 px around (0, 16)


def test_gfl_needs_one_anchor_a_cell(build):
    with pytest.raises(ValueError, match='needs one anchor a cell'):
        build('GFLHead', anchor_generator=TWO_LEVELS | dict(ratios=[0.5, 1.0]))
