import pytest
import torch
from pisa_sabl_sepbn_heads_cases import ASSIGNER, FOCAL, GTS, LABELS, LEVELS, NO_LABELS, NOTHING, feats

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.pisa_retinanet_head import PISARetinaHead, flatten_batch


@HEADS.register_module()
class WeightedPISARetinaHead(HeadWithWeightPerImage, PISARetinaHead):
    pass


@pytest.fixture
def pisa(build_head):
    def make(kind='PISARetinaHead', **train):
        train = dict(assigner=dict(type='MaxIoUAssigner', **ASSIGNER), sampler=None) | train
        return build_head(kind, train, num_classes=3, stacked_convs=1, anchor_generator=LEVELS, loss_cls=FOCAL)

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
