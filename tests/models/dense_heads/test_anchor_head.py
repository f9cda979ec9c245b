import math

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead

SIZES = [(2, 2)]
OBJECT = torch.tensor([[5.0, 4.0, 13.0, 12.0]])  # the last anchor, moved right by one pixel: IoU 56 / 72
NOTHING = torch.zeros(0, 4)


def targets_of(head, gts, metas, sizes=SIZES, **kwargs):
    anchors, flags = head.get_anchors(sizes, metas, device='cpu')
    return head.get_targets(anchors, flags, gts, metas, **kwargs)


def test_targets_of_a_two_by_two_map_by_hand(build_head, meta):
    labels, label_weights, bbox_targets, bbox_weights, num_pos, num_neg = targets_of(build_head(), [OBJECT], [meta()])
    assert labels[0].tolist() == [[1, 1, 1, 0]]
    assert label_weights[0].tolist() == [[1, 1, 1, 1]]
    assert bbox_targets[0][0].tolist() == [[0] * 4, [0] * 4, [0] * 4, [1 / 8, 0, 0, 0]]
    assert bbox_weights[0][0].tolist() == [[0] * 4, [0] * 4, [0] * 4, [1] * 4]
    assert (num_pos, num_neg) == (1, 3)


def test_targets_take_the_class_of_the_matched_object(build_head, meta):
    gts = torch.tensor([[-4.0, -4, 4, 4], [4, 4, 12, 12]])
    head = build_head('AnchorHead', num_classes=5)
    labels, *_ = targets_of(head, [gts], [meta()], gt_labels_list=[torch.tensor([2, 4])])
    assert labels[0].tolist() == [[2, 5, 5, 4]]


def test_targets_leave_out_anchors_in_ignored_regions(build_head, meta):
    ignored = torch.tensor([[-4.0, -4, 4, 4]])
    targets = targets_of(build_head(), [OBJECT], [meta()], gt_bboxes_ignore_list=[ignored])
    assert targets[1][0].tolist() == [[0, 1, 1, 1]]
    assert targets[4:] == (1, 2)


def test_targets_pos_weight_weighs_positives_only(build_head, meta):
    targets = targets_of(build_head(train=dict(pos_weight=3.0)), [OBJECT], [meta()])
    assert targets[1][0].tolist() == [[1, 1, 1, 3]]
    assert targets[3][0][0, 3].tolist() == [1] * 4


@pytest.mark.parametrize('unmap, weights', [(True, [0, 0, 0, 1]), (False, [1])])
def test_targets_allowed_border_leaves_out_anchors_beyond_the_image(build_head, meta, unmap, weights):
    head = build_head(train=dict(allowed_border=0))
    anchors, flags = head.get_anchors(SIZES, [meta()], device='cpu')
    result = head._get_targets_single(
        anchors[0][0], flags[0][0], OBJECT, None, None, meta(), unmap_outputs=unmap
    )  # fmt: skip
    assert result[1].tolist() == weights
    assert len(result) == 7


def test_targets_without_any_anchor_inside_warn_and_weigh_nothing(build_head, meta):
    small = meta(6, 6, filename='tiny.png')
    with pytest.warns(UserWarning, match='no anchor lies inside the image tiny.png'):
        targets = targets_of(build_head(train=dict(allowed_border=0)), [OBJECT], [small])
    assert targets[0][0].tolist() == [[1, 1, 1, 1]]
    assert targets[1][0].sum() == 0
    assert targets[4:] == (1, 1)


def test_targets_of_an_image_without_objects_are_all_background(build_head, meta):
    targets = targets_of(build_head(), [NOTHING], [meta()])
    assert targets[0][0].tolist() == [[1, 1, 1, 1]]
    assert targets[3][0].sum() == 0
    assert targets[4:] == (1, 4)  # an image counts at least one positive


def test_targets_of_a_batch_equal_those_of_its_images(build_head, meta):
    head = build_head(anchor_generator=dict(type='AnchorGenerator', scales=[1], ratios=[0.5, 1.0], strides=[8, 16]))
    sizes, gts, metas = [(3, 4), (2, 2)], [OBJECT, NOTHING, OBJECT * 2], [meta(24, 32), meta(24, 30), meta(20, 32)]
    batch = targets_of(head, gts, metas, sizes)
    single = [targets_of(head, [gt], [m], sizes) for gt, m in zip(gts, metas)]
    assert [t.shape[:2] for t in batch[0]] == [(3, 24), (3, 8)]
    for kind in range(4):
        for level in range(2):
            torch.testing.assert_close(batch[kind][level], torch.cat([s[kind][level] for s in single]))
    assert batch[4] == sum(s[4] for s in single)


def test_get_targets_gives_sampling_results_and_extra_items_of_a_subclass(build_head, meta):
    class Numbered(AnchorHead):
        def _get_targets_single(self, flat_anchors, *args, **kwargs):
            return (*super()._get_targets_single(flat_anchors, *args, **kwargs), torch.arange(len(flat_anchors)))

    HEADS.register_module(name='NumberedHead', module=Numbered, force=True)
    head = build_head('NumberedHead', num_classes=1)
    targets = targets_of(head, [OBJECT], [meta()], return_sampling_results=True)
    assert targets[6][0].pos_inds.tolist() == [3]
    assert targets[7][0].tolist() == [[0, 1, 2, 3]]
    maps = [torch.zeros(1, 1, 2, 2)], [torch.zeros(1, 4, 2, 2)]
    assert head.loss(*maps, [OBJECT], None, [meta()])['loss_cls'][0].item() == pytest.approx(math.log(2))


def test_loss_single_of_a_subclass_gets_the_number_of_sampled_anchors(build_head, meta):
    class Counting(AnchorHead):
        def loss_single(self, cls_score, bbox_pred, anchors, *targets, num_total_samples):
            return cls_score.sum() * 0 + num_total_samples, bbox_pred.sum() * 0 + anchors.size(1)

    HEADS.register_module(name='CountingHead', module=Counting, force=True)
    head = build_head('CountingHead', num_classes=1)
    losses = head.loss(torch.zeros(1, 1, 1, 2, 2), torch.zeros(1, 1, 4, 2, 2), [OBJECT], None, [meta()])
    assert losses == dict(loss_cls=[torch.tensor(4.0)], loss_bbox=[torch.tensor(4.0)])


def test_loss_by_hand(build_head, meta):
    """Logits 0 cost ln 2 an anchor; the positive's target differs from 0 by 1/8 in one of its numbers."""
    head = build_head('AnchorHead', num_classes=1, loss_bbox=dict(type='L1Loss'))
    losses = head.loss([torch.zeros(1, 1, 2, 2)], [torch.zeros(1, 4, 2, 2)], [OBJECT], None, [meta()])
    assert losses['loss_cls'][0].item() == pytest.approx(math.log(2))
    assert losses['loss_bbox'][0].item() == pytest.approx(1 / 8 / 4)


def test_loss_on_decoded_boxes_by_hand(build_head, meta):
    """GIoU of two boxes side by side is their IoU; without sampling the divisor is the number of positives."""
    train = dict(sampler=dict(type='PseudoSampler'))
    head = build_head('AnchorHead', train, num_classes=1, reg_decoded_bbox=True, loss_bbox=dict(type='GIoULoss'))
    losses = head.loss([torch.zeros(1, 1, 2, 2)], [torch.zeros(1, 4, 2, 2)], [OBJECT], None, [meta()])
    assert losses['loss_bbox'][0].item() == pytest.approx(1 - 56 / 72, abs=1e-6)
    assert losses['loss_cls'][0].item() == pytest.approx(4 * math.log(2))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_loss_and_boxes_of_half_precision_maps_are_computed_in_full_precision(build_head, meta, dtype):
    wide = dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[7])
    head = build_head(
        'AnchorHead', None, dict(nms_pre=-1), num_classes=1, anchor_generator=wide, reg_decoded_bbox=True
    )  # fmt: skip
    image, gts = meta(7, 2100), [OBJECT + torch.tensor([2000.0, -4, 2000, -4])]
    maps = [torch.randn(1, 1, 1, 300).to(dtype)], [torch.randn(1, 4, 1, 300).to(dtype) / 8]
    full = [m.float() for m in maps[0]], [m.float() for m in maps[1]]
    assert head.loss(*maps, gts, None, [image]) == head.loss(*full, gts, None, [image])
    for half, single in zip(*(head.get_bboxes(*m, img_metas=[image], with_nms=False)[0] for m in (maps, full))):
        assert half.equal(single)


@pytest.mark.parametrize('loss_bbox, decoded', [('L1Loss', False), ('IoULoss', True), ('DIoULoss', True)])
def test_loss_without_any_sampled_anchor_is_zero_and_attached(build_head, meta, loss_bbox, decoded):
    head = build_head('AnchorHead', num_classes=2, reg_decoded_bbox=decoded, loss_bbox=dict(type=loss_bbox))
    all_ignored = torch.tensor([[-10.0, -10, 30, 30]])
    far_object = torch.tensor([[100.0, 100, 108, 108]])
    labels = torch.tensor([1])
    losses = head.loss(*head([torch.rand(1, 4, 2, 2)]), [far_object], [labels], [meta()], [all_ignored])
    sum(losses['loss_cls'] + losses['loss_bbox']).backward()
    assert (losses['loss_cls'][0].item(), losses['loss_bbox'][0].item()) == (0, 0)
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_loss_with_other_number_of_levels_says_so(build_head, meta):
    head = build_head('AnchorHead', num_classes=1)
    maps = [torch.zeros(1, 1, 2, 2)] * 2, [torch.zeros(1, 4, 2, 2)] * 2
    with pytest.raises(ValueError, match=r'got 2 feature maps, but its anchor generator has 1 levels'):
        head.loss(*maps, [OBJECT], None, [meta()])


def test_sampling_follows_sampler_and_loss(build_head):
    assert build_head().sampling
    assert not build_head(train=dict(sampler=None)).sampling
    with pytest.warns(UserWarning, match='the sampler RandomSampler is not used'):
        head = build_head('AnchorHead', num_classes=2, loss_cls=dict(type='FocalLoss', use_sigmoid=True))
    assert not head.sampling
    assert type(head.sampler).__name__ == 'PseudoSampler'


def test_no_class_is_refused(build_head):
    with pytest.raises(ValueError, match='num_classes: expected at least 1, got 0'):
        build_head('AnchorHead', num_classes=0)


def test_old_names_of_the_prior_generator_warn(build_head):
    head = build_head()
    with pytest.warns(DeprecationWarning):
        assert head.anchor_generator is head.prior_generator
    with pytest.warns(DeprecationWarning):
        assert head.num_anchors == 1


@pytest.mark.parametrize(('pos_weight', 'expected'), [(-1, 1), (0, 1), (0.5, 0.5), (3, 3)])
def test_pos_weight_is_that_of_positives_and_zero_means_one(build_head, meta, pos_weight, expected):
    head = build_head('AnchorHead', num_classes=2, train=dict(pos_weight=pos_weight))
    anchors, flags = head.get_anchors([(2, 2)], [meta()], device='cpu')
    labels, weights, *_ = head._get_targets_single(
        anchors[0][0], flags[0][0], torch.tensor([[4.0, 4, 12, 12]]), None, torch.tensor([1]), meta()
    )
    assert weights[labels == 1].tolist() == [expected] and (weights[labels == 2] == 1).all()
