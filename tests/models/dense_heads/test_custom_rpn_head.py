import pytest
import torch

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.dense_heads.rpn_head import RPNHead

KEY = 'rpn_head.loss_weight'
GTS = [torch.tensor([[3.0, 4, 12, 13]]), torch.tensor([[4.0, 3, 13, 12], [17, 4, 26, 11]])]


class WeightedRetinaHead(HeadWithWeightPerImage, RetinaHead):
    """What a user writes."""


HEADS.register_module(name='WeightedRetinaHead', module=WeightedRetinaHead, force=True)
FOCAL = dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True), train=dict(sampler=None))


@pytest.fixture(params=['RPNHeadWithWeightPerImage', 'WeightedRetinaHead'])
def run(request, build_head, meta):
    """``run(w0, w1, gts)``: losses, gradients of the parameters and of the two images' features; None: no directive."""
    extra = dict(num_classes=1, stacked_convs=1, **FOCAL) if request.param == 'WeightedRetinaHead' else {}
    head = build_head(request.param, **extra)
    torch.manual_seed(1)
    values = torch.randn(2, 4, 3, 4)

    def once(*weights, gts=GTS):
        head.zero_grad(set_to_none=True)
        feats = values.clone().requires_grad_()
        metas = [meta(24, 32, **({} if w is None else {KEY: w})) for w in weights]
        labels = () if request.param.startswith('RPN') else ([torch.zeros(len(g), dtype=torch.long) for g in gts],)
        losses = head.loss(*head([feats]), gts, *labels, metas)
        total = torch.stack([sum(v) for v in losses.values()])
        total.sum().backward()
        return total.detach(), [p.grad for p in head.parameters()], feats.grad

    return once


@pytest.mark.parametrize('w0, w1', [(0, 1), (0.5, 10), (100, 0), (1e-3, 3)])
def test_loss_and_gradient_are_linear_in_each_weight(run, w0, w1):
    loss, grads, feats = run(w0, w1)
    (loss_a, grads_a, feats_a), (loss_b, grads_b, feats_b) = run(1, 0), run(0, 1)
    torch.testing.assert_close(loss, w0 * loss_a + w1 * loss_b)
    torch.testing.assert_close(feats, w0 * feats_a + w1 * feats_b)
    for grad, a, b in zip(grads, grads_a, grads_b):
        torch.testing.assert_close(grad, w0 * a + w1 * b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('weight', [0, 0.5, 10])
def test_weight_of_one_image_leaves_the_other_alone(run, weight):
    _, _, plain = run(1, 1)
    _, _, weighted = run(weight, 1)
    assert plain[0].any()
    assert plain[1].any()
    torch.testing.assert_close(weighted[0], weight * plain[0])
    assert weighted[1].equal(plain[1])


def test_absent_weight_means_one(run):
    for got, want in zip(run(None, 2), run(1, 2)):
        torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.mark.parametrize('gts', [GTS, [torch.zeros(0, 4)] * 2])
def test_batch_of_zero_weights_gives_zero_losses_and_zero_gradients(run, gts):
    loss, grads, feats = run(0, 0, gts=gts)
    assert loss.tolist() == [0, 0]
    assert all(grad is not None and not grad.any() for grad in grads)
    assert not feats.any()


def test_both_losses_are_weighted(run):
    assert (run(1, 0)[0] > 1e-3).all()
    torch.testing.assert_close(run(7, 0)[0], 7 * run(1, 0)[0])


def test_targets_scale_label_and_box_weights_and_nothing_else(build_head, meta):
    head = build_head('RPNHeadWithWeightPerImage')
    anchors, flags = head.get_anchors([(2, 2)], [meta()], device='cpu')
    args = (anchors[0][0], flags[0][0], torch.tensor([[4.0, 4, 12, 12]]), None, None)
    plain, weighted = head._get_targets_single(*args, meta()), head._get_targets_single(*args, meta(**{KEY: 0.25}))
    assert isinstance(weighted, tuple)
    assert len(weighted) == len(plain) == 7
    assert weighted[1].tolist() == [0.25] * 4
    assert weighted[3][3].tolist() == [0.25] * 4
    for i in (0, 2, 4, 5):
        assert weighted[i].equal(plain[i])


def test_single_image_targets_of_weight_one_are_the_very_same_objects(build_head, meta, monkeypatch):
    head = build_head('RPNHeadWithWeightPerImage')
    anchors, flags = head.get_anchors([(2, 2)], [meta()], device='cpu')
    args = (anchors[0][0], flags[0][0], torch.tensor([[4.0, 4, 12, 12]]), None, None)
    plain = build_head('RPNHead')._get_targets_single(*args, meta())
    monkeypatch.setattr(RPNHead, '_get_targets_single', lambda self, *args, **kwargs: plain)
    for image in (meta(), meta(**{KEY: 1})):
        assert head._get_targets_single(*args, image) is plain


def test_batch_of_targets_is_weighed_once_though_single_ones_are_too(build_head, meta):
    metas = [meta(**{KEY: 3}), meta(**{KEY: 0.5, 'rpn_head.negative_weight': 0.5})]
    gts = [torch.tensor([[4.0, 4, 12, 12]]), torch.zeros(0, 4)]
    mixed_in, inherited = (
        build_head('RPNHeadWithWeightPerImage'),
        build_head('AnchorHeadWithWeightPerImage', num_classes=1),
    )
    for head in (mixed_in, inherited):
        anchors, flags = head.get_anchors([(2, 2)], metas, device='cpu')
        _, label_weights, _, bbox_weights, *_ = head.get_targets(anchors, flags, gts, metas)
        assert label_weights[0].tolist() == [[3.0] * 4, [0.25] * 4]
        assert bbox_weights[0][:, :, 0].tolist() == [[0, 0, 0, 3], [0.0] * 4]
        of_one = head._get_targets_single(anchors[0][0], flags[0][0], gts[0], None, None, metas[0])
        assert of_one[1].tolist() == [3.0 if head is mixed_in else 1.0] * 4  # only the mixin weighs single images
    with pytest.raises(TypeError):
        mixed_in.get_targets(anchors, flags, [None], metas)
    of_one = mixed_in._get_targets_single(anchors[0][0], flags[0][0], gts[0], None, None, metas[0])
    assert of_one[1].tolist() == [3.0] * 4  # also after a batch that failed


class RotatedAnchorHead(AnchorHead):
    """A plugin's head: box targets of five numbers, and an eighth item, the areas of the anchors."""

    def _get_targets_single(self, flat_anchors, *args, **kwargs):
        labels, label_weights, targets, weights, *rest = super()._get_targets_single(flat_anchors, *args, **kwargs)
        angles = torch.arange(len(targets)).float()[:, None]
        areas = (flat_anchors[:, 2:] - flat_anchors[:, :2]).prod(1)
        return (labels, label_weights, torch.cat([targets, angles], 1), weights[:, [0, 1, 2, 3, 3]], *rest, areas)


@pytest.mark.parametrize('weight', [None, 3])
def test_boxes_of_five_numbers_and_further_items_pass_through(build_head, meta, weight):
    kind = type('Rotated', (RotatedAnchorHead,), dict(weighs_images=weight is not None))
    HEADS.register_module(name='Rotated', module=kind, force=True)
    head = build_head('Rotated', num_classes=1)
    metas = [meta(**{KEY: weight} if weight else {}), meta()]
    gts = [torch.tensor([[4.0, 4, 12, 12]]), torch.zeros(0, 4)]
    anchors, flags = head.get_anchors([(2, 2)], metas, device='cpu')
    single = [head._get_targets_single(anchors[i][0], flags[i][0], gts[i], None, None, metas[i]) for i in range(2)]
    got = head.get_targets(anchors, flags, gts, metas)
    assert len(got) == 7 and got[4:6] == (2, 7)  # positives, of which each image counts one, and negatives
    for i in (0, 2):
        assert got[i][0].equal(torch.stack([image[i] for image in single]))
    assert got[2][0].shape == got[3][0].shape == (2, 4, 5)
    for i in (1, 3):
        want = torch.stack([image[i] for image in single])
        want[0] *= weight or 1
        assert got[i][0].equal(want)
    assert got[6][0].tolist() == [[64.0] * 4] * 2


def test_impossible_weight_is_refused(build_head, meta):
    head = build_head('RPNHeadWithWeightPerImage')
    feats = [torch.rand(1, 4, 2, 2)]
    with pytest.raises(ValueError, match=r'rpn_head\.loss_weight: expected a finite number >= 0, got -1'):
        head.loss(*head(feats), [torch.zeros(0, 4)], [meta(**{KEY: -1})])


def test_subclass_may_read_the_weight_of_another_head(build_head, meta):
    class ByBBoxHead(WeightedRetinaHead):
        directive_head = 'bbox_head'

    HEADS.register_module(name='ByBBoxHead', module=ByBBoxHead, force=True)
    head = build_head('ByBBoxHead', num_classes=1, **FOCAL)
    image = meta(**{KEY: 3, 'bbox_head.loss_weight': 0})
    losses = head.loss(*head([torch.rand(1, 4, 2, 2)]), [GTS[0]], [torch.tensor([0])], [image])
    assert (losses['loss_cls'][0].item(), losses['loss_bbox'][0].item()) == (0, 0)


def test_parameters_are_those_of_the_plain_head(build_head):
    shapes = [
        {k: v.shape for k, v in build_head(n).state_dict().items()} for n in ('RPNHead', 'RPNHeadWithWeightPerImage')
    ]
    assert shapes[0] == shapes[1]


def test_image_with_ignored_negatives_still_counts_one_in_the_divisor(build_head, meta):
    """No negative and no object: nothing to learn; the other image's sum is divided by 4 + 1 + 1 + 1."""
    train = dict(sampler=dict(type='RandomSamplerWithIgnore', num=100, pos_fraction=0.5, add_gt_as_proposals=False))
    head = build_head(train=train)
    maps = [torch.zeros(2, 1, 2, 2, requires_grad=True)], [torch.zeros(2, 4, 2, 2)]
    losses = head.loss(*maps, [torch.zeros(0, 4)] * 2, [meta(ignore_negatives=1), meta()])
    losses['loss_rpn_cls'][0].backward()
    assert not maps[0][0].grad[0].any()
    assert losses['loss_rpn_cls'][0].item() == pytest.approx(4 * torch.tensor(2.0).log().item() / 7)
