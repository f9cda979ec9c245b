import math

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.ssd_head import SSDHead, hardest_negatives

TRAIN = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, gt_max_assign_all=False),
    smoothl1_beta=1.0, allowed_border=-1, pos_weight=-1, neg_pos_ratio=3,
)  # fmt: skip
TEST = dict(nms_pre=100, nms=dict(type='nms', iou_threshold=0.45), score_thr=0.02, max_per_img=10)
ANCHORS = dict(
    type='SSDAnchorGenerator', scale_major=False, strides=[8, 16], ratios=[[2], [2, 3]], min_sizes=[10, 20],
    max_sizes=[20, 30],
)  # fmt: skip
GTS = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [12, 1, 31, 22]])]
LABELS = [torch.tensor([1]), torch.tensor([1, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


class WeightedSSDHead(HeadWithWeightPerImage, SSDHead):
    pass


HEADS.register_module(module=WeightedSSDHead, force=True)


@pytest.fixture
def build():
    def make(kind='SSDHead', **kwargs):
        torch.manual_seed(0)
        cfg = dict(
            type=kind, num_classes=3, in_channels=(4, 6), feat_channels=4, anchor_generator=ANCHORS,
            train_cfg=TRAIN, test_cfg=TEST,
        )  # fmt: skip
        return HEADS.build(cfg | kwargs)

    return make


def feats(num=2):
    torch.manual_seed(1)
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 6, 2, 2)]


def test_levels_have_their_own_numbers_of_anchors(build):
    scores, deltas = build()(feats())
    assert [level.shape for level in scores] == [(2, 4 * 4, 4, 4), (2, 6 * 4, 2, 2)]
    assert [level.shape for level in deltas] == [(2, 4 * 4, 4, 4), (2, 6 * 4, 2, 2)]
    assert build().num_base_priors == [4, 6]


def test_lite_layers_are_depthwise(build):
    layers = build(use_depthwise=True, stacked_convs=1, norm_cfg=dict(type='BN')).cls_convs[1]
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds == ['DepthwiseSeparableConvModule', 'ConvModule', 'Conv2d']
    assert layers[1].conv.groups == 4
    assert layers[2].kernel_size == (1, 1)


def test_hardest_negatives_by_hand():
    losses, labels = torch.tensor([1.0, 5, 7, 2, 9]), torch.tensor([0, 3, 3, 3, 3])
    assert hardest_negatives(losses, labels, 3, 2) == 1 + 9 + 7
    assert hardest_negatives(losses, labels, 3, 9) == 24
    assert hardest_negatives(losses, labels.new_full((5,), 3), 3, 3) == 0


def test_loss_by_hand(build):
    """Equal logits cost ln 4 an anchor: one positive and three negatives, of which one is as hard as another."""
    head, zeros = build(), torch.zeros(5, 4)
    labels, targets = torch.tensor([0, 3, 3, 3, 3]), torch.zeros(5, 4)
    targets[0, 1], weights = 2, torch.eye(5)[:, :1].expand(5, 4)
    loss_cls, loss_bbox = head.loss_single(zeros, zeros, zeros, labels, torch.ones(5), targets, weights, 2)
    assert loss_cls.tolist() == pytest.approx([4 * math.log(4) / 2])
    assert loss_bbox.item() == pytest.approx((2 - 0.5) / 2)


def test_losses_come_image_by_image(build, meta):
    head, x, metas = build(), feats(), [meta(32, 32)] * 2
    batch = head.loss(*head(x), GTS, LABELS, metas)
    for i in range(2):
        alone = head.loss(*head([f[i : i + 1] for f in x]), GTS[i : i + 1], LABELS[i : i + 1], metas[:1])
        for name, share in (('loss_cls', batch['loss_cls'][i]), ('loss_bbox', batch['loss_bbox'][i])):
            assert share > 0
            counts = [sum(t[4] for t in [targets_of(head, j, metas)]) for j in range(2)]
            torch.testing.assert_close(share * sum(counts), alone[name][0] * counts[i])


def targets_of(head, i, metas):
    anchors, flags = head.get_anchors([(4, 4), (2, 2)], metas[:1], device='cpu')
    return head.get_targets(anchors, flags, GTS[i : i + 1], metas[:1], gt_labels_list=LABELS[i : i + 1])


def test_losses_are_linear_in_the_images_weights(build, meta):
    head, x = build('WeightedSSDHead'), feats()

    def of(*weights):
        metas = [meta(32, 32, **{'rpn_head.loss_weight': weight}) for weight in weights]
        return torch.stack([sum(value).sum() for value in head.loss(*head(x), GTS, LABELS, metas).values()])

    torch.testing.assert_close(of(3, 0.5), 3 * of(1, 0) + 0.5 * of(0, 1))


def test_batch_without_objects_is_zero_and_attached(build, meta):
    head = build()
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert sum(losses['loss_cls']) == sum(losses['loss_bbox']) == 0
    sum(sum(value).sum() for value in losses.values()).backward()
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_boxes_leave_out_the_background(build, meta):
    head = build()
    scores = [torch.zeros(1, 16, 4, 4), torch.zeros(1, 24, 2, 2)]
    for level in scores:
        level.unflatten(1, (-1, 4))[:, :, 3] = 20  # background everywhere
    scores[0][0, 2, 1, 1] = 20  # and as likely class 2 of the first anchor of one cell
    dets, labels = head.get_bboxes(scores, [torch.zeros_like(s) for s in scores], img_metas=[meta(32, 32)])[0]
    assert labels.tolist() == [2]
    torch.testing.assert_close(dets, torch.tensor([[7.0, 7, 17, 17, 0.5]]))


def test_pisa_keeps_the_losses_but_moves_the_gradient(build, meta):
    x, metas = feats(), [meta(32, 32)] * 2
    losses, grads = [], []
    for settings in ({}, dict(isr=dict(k=2.0, bias=0.0)), dict(carl=dict(k=1.0, bias=0.2))):
        head = build('PISASSDHead', train_cfg=TRAIN | settings)
        losses.append(head.loss(*head(x), GTS, LABELS, metas))
        sum(losses[-1]['loss_cls']).sum().backward()
        grads.append(head.cls_convs[0][-1].weight.grad)
    plain = build()
    for name, value in plain.loss(*plain(x), GTS, LABELS, metas).items():
        for other in losses:
            torch.testing.assert_close(sum(other[name]), sum(value))
    assert not torch.allclose(grads[0], grads[1])
    assert torch.allclose(grads[0], grads[2])
    assert losses[2]['loss_carl'] > 0


def test_pisa_without_objects_is_zero_and_attached(build, meta):
    head = build('PISASSDHead', train_cfg=TRAIN | dict(isr=dict(k=2.0, bias=0.0), carl=dict(k=1.0, bias=0.2)))
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    total = sum(sum(value).sum() for value in losses.values())
    total.backward()
    assert total == 0
    assert all(p.grad is not None for p in head.parameters())
