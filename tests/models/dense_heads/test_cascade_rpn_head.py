import copy

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.guided.adaptive_conv import AdaptiveConv, anchor_offsets

CODER = dict(type='DeltaXYWHBBoxCoder', target_means=(0.0,) * 4, target_stds=(0.1, 0.1, 0.5, 0.5))
STAGE = dict(
    type='StageCascadeRPNHead', in_channels=4, feat_channels=4, reg_decoded_bbox=True, bbox_coder=CODER,
    anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16]),
    loss_bbox=dict(type='IoULoss', loss_weight=10.0),
)  # fmt: skip
STAGES = [
    STAGE | dict(adapt_cfg=dict(type='dilation', dilation=3), bridged_feature=True, sampling=False, with_cls=False),
    STAGE | dict(adapt_cfg=dict(type='offset')),
]
REGION = dict(
    assigner=dict(type='RegionAssigner', center_ratio=0.2, ignore_ratio=0.5), allowed_border=-1, pos_weight=-1
)
MAX_IOU = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.3, ignore_iof_thr=0.5),
    sampler=dict(type='RandomSampler', num=1000, pos_fraction=0.5, add_gt_as_proposals=False),
    allowed_border=-1, pos_weight=-1,
)  # fmt: skip
TEST = dict(nms_pre=100, min_bbox_size=0, nms=dict(type='nms', iou_threshold=0.8), max_per_img=10)
GTS = [torch.tensor([[6.0, 8, 24, 24]]), torch.tensor([[2.0, 10, 15, 30]])]


@pytest.fixture
def head():
    torch.manual_seed(0)
    cfg = dict(
        type='CascadeRPNHead', num_stages=2, stages=STAGES, train_cfg=[REGION, MAX_IOU], test_cfg=TEST
    )  # fmt: skip
    return HEADS.build(copy.deepcopy(cfg))


def feats(num=2):
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]


def test_offsets_are_zero_where_the_kernel_covers_the_anchor_already():
    # the 3x3 kernel's outer points are 2 cells apart: that is an anchor of 2 cells
    anchors = torch.tensor([[-8.0, -8, 8, 8], [0, -8, 16, 8]])
    assert not anchor_offsets(anchors, 8, (1, 2)).any()


def test_offsets_move_and_spread_the_kernel():
    # one cell to the right, half a cell down, four cells wide, two high
    offsets = anchor_offsets(torch.tensor([[-8.0, -4, 24, 12]]), 8, (1, 1)).view(3, 3, 2)
    assert offsets[..., 0].tolist() == [[0.5] * 3] * 3
    assert offsets[..., 1].tolist() == [[0, 1, 2]] * 3


def test_adaptive_conv_with_zero_offsets_is_a_plain_one():
    conv, x = AdaptiveConv(4, 3, type='offset'), torch.randn(2, 4, 5, 6)
    plain = torch.nn.functional.conv2d(x, conv.conv.weight, padding=1)
    torch.testing.assert_close(conv(x, torch.zeros(2, 30, 18)), plain, rtol=1e-4, atol=1e-5)


def test_adaptive_conv_says_what_is_wrong():
    x = torch.zeros(1, 4, 2, 2)
    with pytest.raises(ValueError, match="got 'ofset'; did you mean 'offset'"):
        AdaptiveConv(4, 4, type='ofset')
    with pytest.raises(ValueError, match='must be 1, got 2, 1 and 1'):
        AdaptiveConv(4, 4, stride=2, type='offset')
    with pytest.raises(ValueError, match=r'expected offsets \(1, 4\) \+ \(c,\), got None'):
        AdaptiveConv(4, 4, type='offset')(x, None)
    with pytest.raises(ValueError, match='takes no offsets'):
        AdaptiveConv(4, 4)(x, x)


def test_losses_carry_the_number_of_their_stage(head, meta):
    losses, proposals = head.forward_train(feats(), [meta(32, 32)] * 2, GTS, proposal_cfg=TEST, gt_masks=None)
    assert list(losses) == ['s0.loss_rpn_reg', 's1.loss_rpn_cls', 's1.loss_rpn_reg']
    assert [p.shape for p in proposals] == [(10, 5)] * 2
    assert [m.requires_grad for m in head.last_objectness] == [False, False]
    assert head.forward_train(feats(), [meta(32, 32)] * 2, GTS).keys() == losses.keys()


def test_the_second_stage_starts_from_the_boxes_of_the_first(head, meta):
    first, metas = head.stages[0], [meta(32, 32)]
    anchors, _ = first.get_anchors([(4, 4), (2, 2)], metas, device='cpu')
    deltas = [torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 2, 2)]
    deltas[0][0, 0, 1, 2] = 5  # 5 * 0.1 of the width to the right
    refined = first.refine_bboxes(anchors, deltas, metas)[0]
    assert refined[0].view(4, 4, 4)[1, 2].tolist() == [16, 0, 32, 16]
    assert refined[0].view(4, 4, 4)[0, 0].tolist() == [0, 0, 8, 8]  # clipped to the image


def test_gradients_do_not_flow_back_through_the_anchors(head, meta):
    losses = head.forward_train(feats(), [meta(32, 32)] * 2, GTS)
    sum(losses['s1.loss_rpn_reg']).backward()
    assert head.stages[0].rpn_reg.weight.grad is None
    assert head.stages[0].rpn_conv.conv.weight.grad.any()  # but through the bridged features


def test_divisor_without_sampling_counts_two_hundred_anchors_as_one(head, meta):
    x, metas = feats(1), [meta(32, 32)]
    stage = head.stages[0]
    anchors, flags = stage.get_anchors([(4, 4), (2, 2)], metas, device='cpu')
    _, scores, deltas = stage(x)
    losses = stage.loss(anchors, flags, scores, deltas, GTS[:1], metas)
    targets = stage.get_targets(anchors, flags, GTS[:1], metas, [(4, 4), (2, 2)])
    boxes = [
        stage.bbox_coder.decode(a, d.permute(0, 2, 3, 1).reshape(-1, 4)) for a, d in zip(anchors[0], deltas)
    ]  # fmt: skip
    weight = torch.cat(targets[3], 1)[0, :, 0]
    assert weight.sum() > 0
    iou = stage.loss_bbox(torch.cat(boxes), torch.cat(targets[2], 1)[0], weight, reduction_override='none').sum()
    torch.testing.assert_close(sum(losses['loss_rpn_reg']), iou * 200 / 20)


def test_batch_without_objects_is_finite_and_attached(head, meta):
    losses = head.forward_train(feats(), [meta(32, 32)] * 2, [torch.zeros(0, 4)] * 2)
    assert sum(losses['s0.loss_rpn_reg']) == sum(losses['s1.loss_rpn_reg']) == 0
    sum(sum(value) for value in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_ignored_regions_reach_the_second_stage_only(head, meta):
    torch.manual_seed(1)
    x, metas, everywhere = feats(), [meta(32, 32)] * 2, [torch.tensor([[-99.0, -99, 99, 99]])] * 2
    plain, ignored = (head.forward_train(x, metas, GTS, gt_bboxes_ignore=ignore) for ignore in (None, everywhere))
    assert sum(plain['s0.loss_rpn_reg']) == sum(ignored['s0.loss_rpn_reg']) > 0
    assert sum(plain['s1.loss_rpn_cls']) > sum(ignored['s1.loss_rpn_cls']) == 0


def test_proposals_of_a_batch_equal_those_of_its_images(head, meta):
    x, metas = feats(), [meta(32, 32), meta(30, 28)]
    for i, proposals in enumerate(head.simple_test_rpn(x, metas)):
        alone = head.simple_test_rpn([level[i : i + 1] for level in x], metas[i : i + 1])[0]
        torch.testing.assert_close(proposals, alone)


def test_proposals_of_one_version_are_those_without_augmentation(head, meta):
    x, metas = feats(1), [meta(32, 32, scale_factor=[1.0] * 4, flip_direction='horizontal')]
    cfg = dict(nms=dict(type='nms', iou_threshold=0.8), max_per_img=10)
    head.test_cfg.update(cfg)
    torch.testing.assert_close(head.aug_test_rpn([x], [metas])[0], head.simple_test_rpn(x, metas)[0])


def test_wrong_use_says_so(head, meta):
    with pytest.raises(ValueError, match='gt_labels must be None'):
        head.forward_train(feats(), [meta(32, 32)] * 2, GTS, [torch.zeros(1)] * 2)
    with pytest.raises(ValueError, match='3 stages, but stages has 2 configs'):
        HEADS.build(dict(type='CascadeRPNHead', num_stages=3, stages=STAGES, train_cfg=None, test_cfg=TEST))
    with pytest.raises(NotImplementedError, match='call simple_test_rpn'):
        head.get_bboxes()
    with pytest.raises(NotImplementedError, match='call forward_train'):
        head.loss()


def test_losses_of_all_stages_are_linear_in_the_weight_of_each_image():
    torch.manual_seed(0)
    stages = [stage | dict(type='StageCascadeRPNHeadWithWeightPerImage') for stage in STAGES]
    cfg = dict(type='CascadeRPNHead', num_stages=2, stages=stages, train_cfg=[REGION, MAX_IOU], test_cfg=TEST)
    head, x = HEADS.build(copy.deepcopy(cfg)), feats()
    shape = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3))

    def of(*weights):
        metas = [{**shape, 'rpn_head.loss_weight': weight} for weight in weights]
        losses, _ = head.forward_train(x, metas, GTS, proposal_cfg=TEST)
        return torch.stack([sum(losses[name]) for name in sorted(losses)])

    torch.testing.assert_close(of(3, 0.5), 3 * of(1, 0) + 0.5 * of(0, 1), rtol=1e-4, atol=1e-5)
    assert not of(0, 0).any() and (of(1, 1) > 0).all()
