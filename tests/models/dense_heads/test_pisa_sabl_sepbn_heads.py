"""The RetinaNet heads of PISA, SABL and NAS-FPN."""

import copy

import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.pisa_retinanet_head import PISARetinaHead, flatten_batch

FOCAL = dict(type='FocalLoss', use_sigmoid=True)
LEVELS = dict(type='AnchorGenerator', octave_base_scale=2, scales_per_octave=2, ratios=[0.5, 1.0], strides=[8, 16])
SQUARES = dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])
ASSIGNER = dict(pos_iou_thr=0.4, neg_iou_thr=0.3, min_pos_iou=0.0, ignore_iof_thr=-1)
TEST = dict(nms_pre=100, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
GTS = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [12, 1, 31, 22]])]
LABELS = [torch.tensor([1]), torch.tensor([1, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


class WeightedPISARetinaHead(HeadWithWeightPerImage, PISARetinaHead):
    pass


HEADS.register_module(module=WeightedPISARetinaHead, force=True)


def feats(num=2):
    torch.manual_seed(1)
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]


@pytest.fixture
def pisa(build_head):
    def make(kind='PISARetinaHead', **train):
        train = dict(assigner=dict(type='MaxIoUAssigner', **ASSIGNER), sampler=None) | train
        return build_head(kind, train, num_classes=3, stacked_convs=1, anchor_generator=LEVELS, loss_cls=FOCAL)

    return make


@pytest.fixture
def sabl():
    def make(**kwargs):
        torch.manual_seed(0)
        train = dict(assigner=dict(type='ApproxMaxIoUAssigner', **ASSIGNER), allowed_border=-1, pos_weight=-1)
        cfg = dict(
            type='SABLRetinaHead', num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1,
            approx_anchor_generator=LEVELS, square_anchor_generator=SQUARES, train_cfg=train, test_cfg=TEST,
        )  # fmt: skip
        return HEADS.build(copy.deepcopy(cfg) | kwargs)

    return make


def test_flatten_batch_puts_image_after_image():
    first, second = torch.arange(16.0).view(2, 4, 1, 2), torch.arange(100.0, 108).view(2, 4, 1, 1)
    flat = flatten_batch([first, second], 2)  # two anchors a cell
    assert flat[:3].tolist() == [[0, 2], [4, 6], [1, 3]]
    assert flat[4:7].tolist() == [[100, 101], [102, 103], [8, 10]]


def test_pisa_without_settings_is_retinanet(pisa, meta):
    head, x, metas = pisa(), feats(), [meta(32, 32)] * 2
    losses = head.loss(*head(x), GTS, LABELS, metas)
    plain = super(PISARetinaHead, head).loss(*head(x), GTS, LABELS, metas)
    assert losses.keys() == plain.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, sum(plain[name]))


def test_pisa_keeps_the_sum_of_the_positives_loss_but_not_its_gradient(pisa, meta):
    x, metas = feats(), [meta(32, 32)] * 2
    values, grads = [], []
    for settings in ({}, dict(isr=dict(k=2.0, bias=0.0))):
        head = pisa(**settings)
        loss = head.loss(*head(x), GTS, LABELS, metas)['loss_cls']
        loss.backward()
        values.append(loss.detach())
        grads.append(head.retina_cls.weight.grad)
    torch.testing.assert_close(*values)
    assert not torch.allclose(*grads)


def test_pisa_losses_are_linear_in_the_images_weights(pisa, meta):
    head, x = pisa('WeightedPISARetinaHead', isr=dict(k=2.0, bias=0.1), carl=dict(k=1.0, bias=0.2)), feats()

    def of(*weights):
        metas = [meta(32, 32, **{'rpn_head.loss_weight': weight}) for weight in weights]
        return torch.stack([value.sum() for value in head.loss(*head(x), GTS, LABELS, metas).values()])

    assert len(of(1, 1)) == 3
    torch.testing.assert_close(of(3, 0.5), 3 * of(1, 0) + 0.5 * of(0, 1))


def test_pisa_without_objects_is_finite_and_attached(pisa, meta):
    head = pisa(isr=dict(k=2.0, bias=0.0), carl=dict(k=1.0, bias=0.2))
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert losses['loss_bbox'] == losses['loss_carl'] == 0
    sum(value.sum() for value in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_sabl_maps_have_half_the_buckets_for_each_side(sabl):
    scores, boxes = sabl()(feats())
    assert [level.shape for level in scores] == [(2, 3, 4, 4), (2, 3, 2, 2)]
    assert [level.shape for level in boxes[1]] == [(2, 28, 2, 2)] * 2


def test_sabl_targets_lead_back_to_the_objects(sabl, meta):
    head, metas, sizes = sabl(), [meta(32, 32)] * 2, [(4, 4), (2, 2)]
    approxs = head.approx_anchor_generator.grid_priors(sizes, device='cpu')
    flags = [torch.ones(16, dtype=torch.bool), torch.ones(4, dtype=torch.bool)]
    squares = head.get_anchors(sizes, metas, device='cpu')
    labels, _, buckets, _, offsets, _, num_pos, _ = head.get_target(
        [approxs] * 2, [flags] * 2, squares, GTS, metas, gt_labels_list=LABELS
    )
    positive = labels[0][0] < 3
    assert 0 < positive.sum() < num_pos
    boxes, confidences = head.bbox_coder.decode(
        squares[0][0][positive], (buckets[0][0][positive] * 100, offsets[0][0][positive])
    )  # fmt: skip
    torch.testing.assert_close(boxes, GTS[0].expand_as(boxes))
    torch.testing.assert_close(confidences, torch.ones(len(boxes)))


def test_sabl_without_objects_is_finite_and_attached(sabl, meta):
    head = sabl()
    losses = head.loss(*head(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert sum(losses['loss_bbox_cls']) == sum(losses['loss_bbox_reg']) == 0
    sum(sum(value) for value in losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_sabl_boxes_are_rescaled_and_weighed_by_confidence(sabl, meta):
    head, x, image = sabl(), feats(1), meta(32, 32, scale_factor=[2.0] * 4)
    dets, labels = head.simple_test_bboxes(x, [image])[0]
    halved, _ = head.simple_test_bboxes(x, [image], rescale=True)[0]
    assert len(dets) == 10
    torch.testing.assert_close(halved[:, :4] * 2, dets[:, :4])
    best = max(level.sigmoid().max() for level in head(x)[0])
    assert dets[0, 4] < best * 0.9  # seven buckets are about equally likely before training


def test_sabl_refuses_what_it_cannot_do(sabl):
    with pytest.raises(ValueError, match='reg_decoded_bbox=False and one square a cell'):
        sabl(reg_decoded_bbox=True)
    with pytest.raises(ValueError, match='got False and 2'):
        sabl(square_anchor_generator=SQUARES | dict(ratios=[0.5, 1.0]))


@pytest.fixture
def sepbn(build_head):
    def make(**kwargs):
        return build_head(
            'RetinaSepBNHead', dict(sampler=None), num_classes=3, num_ins=2, stacked_convs=1, loss_cls=FOCAL,
            norm_cfg=dict(type='BN'), anchor_generator=SQUARES, **kwargs
        )  # fmt: skip

    return make


def test_levels_share_convolutions_but_not_their_normalisation(sepbn):
    head = sepbn()
    assert head.cls_convs[0][0].conv is head.cls_convs[1][0].conv
    assert head.cls_convs[0][0].bn is not head.cls_convs[1][0].bn
    assert head.cls_convs[0][0].conv is not head.reg_convs[0][0].conv
    head(feats())
    assert not head.cls_convs[0][0].bn.running_mean.equal(head.cls_convs[1][0].bn.running_mean)


def test_sepbn_classes_start_at_a_probability_of_one_percent(sepbn):
    head = sepbn()
    head.init_weights()
    torch.testing.assert_close(head.retina_cls.bias.sigmoid(), torch.full((3,), 0.01))
    assert head.cls_convs[1][0].conv.weight.std() < 0.02


def test_sepbn_refuses_other_numbers_of_levels_and_init_cfg(sepbn):
    with pytest.raises(ValueError, match='expected num_ins=2 feature maps, got 1'):
        sepbn()(feats()[:1])
    with pytest.raises(ValueError, match='init_cfg must be None'):
        sepbn(init_cfg=dict(type='Normal'))
