"""Every head of the registry with a loss weight for each image: names, errors, constructors, and the dense heads."""

import copy
import inspect
import pickle

import pytest
import torch

from mmdet.core.directives import loss_weight_key
from mmdet.models import weighted_heads
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage, RPNHeadWithWeightPerImage
from mmdet.models.weighted_heads import MIXINS, SUFFIX, is_dense_head, why_not_weighted

NAMES = [name for name, head in sorted(HEADS.module_dict.items()) if why_not_weighted(head) is None]
# their arguments differ; the tests of each of them have this sweep's assertion
ELSEWHERE = {
    'ATSSHead', 'GFLHead', 'SSDHead', 'PISASSDHead', 'DETRHead', 'DeformableDETRHead', 'RetinaSepBNHead',
    'GuidedAnchorHead', 'GARPNHead', 'GARetinaHead', 'StageCascadeRPNHead',
    'SABLRetinaHead', 'FCOSHead', 'FoveaHead',
}  # fmt: skip
DENSE = [name for name in NAMES if is_dense_head(HEADS.get(name)) and name not in ELSEWHERE]
FOCAL = dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True))
SOFTMAX = dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))
ARGS = dict(RetinaHead=[FOCAL | dict(stacked_convs=1)], AnchorHead=[FOCAL, SOFTMAX, {}], RPNHead=[{}, SOFTMAX])
SETTINGS = dict(
    in_channels=4,
    feat_channels=4,
    anchor_generator=dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[8]),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
        sampler=dict(type='RandomSampler', num=1000, pos_fraction=0.5, add_gt_as_proposals=False),
        allowed_border=-1,
        pos_weight=-1,
    ),
)
SHAPES = dict(img_shape=(24, 32, 3), pad_shape=(24, 32, 3))
OBJECTS = [torch.tensor([[3.0, 4, 12, 13]]), torch.tensor([[4.0, 3, 13, 12], [17, 4, 26, 11]])]


@pytest.mark.parametrize('name', NAMES)
def test_every_head_has_a_version_with_weights_of_the_same_arguments(name):
    head, plain = HEADS.get(name + SUFFIX), HEADS.get(name)
    assert issubclass(head, plain) and issubclass(head, MIXINS) and head.__name__ == name + SUFFIX
    assert HEADS.get(name + SUFFIX) is head is HEADS.get(f'mmdet.{name}{SUFFIX}')
    assert str(inspect.signature(head)) == str(inspect.signature(plain))
    assert pickle.loads(pickle.dumps(head)) is head


def test_written_classes_are_the_ones_that_the_names_give():
    assert HEADS.get('RPNHeadWithWeightPerImage') is RPNHeadWithWeightPerImage
    assert weighted_heads.RetinaHeadWithWeightPerImage is HEADS.get('RetinaHeadWithWeightPerImage')


@pytest.mark.parametrize(
    ('name', 'error', 'message'),
    [
        ('RetinaHedWithWeightPerImage', KeyError, "did you mean 'RetinaHeadWithWeightPerImage'"),
        ('RetinaHeadWithWeigthPerImage', KeyError, "did you mean 'RetinaHeadWithWeightPerImage'"),
        ('FPNWithWeightPerImage', TypeError, r'FPN \(in mmdet.models.necks.fpn\) cannot weigh images. It is neither'),
        ('CascadeRoIHeadWithWeightPerImage', TypeError, 'name its bbox_head, mask_head or keypoint_head so'),
        ('RPNHeadWithWeightPerImageWithWeightPerImage', TypeError, 'obeys the weights of the images already'),
    ],
)
def test_names_without_a_class_are_explained(name, error, message):
    with pytest.raises(error, match=message):
        HEADS.build(dict(type=name))
    with pytest.raises(AttributeError, match='no attribute'):
        weighted_heads.__getattr__('NoHead')


def test_head_of_the_user_s_own_has_a_version_and_a_new_one_after_registering_anew():
    class OfUser(AnchorHead):
        pass

    HEADS.register_module(name='OfUser', module=OfUser, force=True)
    first = HEADS.get('OfUserWithWeightPerImage')
    assert first.__mro__[1:3] == (HeadWithWeightPerImage, OfUser)
    HEADS.register_module(name='OfUser', module=type('OfUser', (AnchorHead,), {}), force=True)
    assert HEADS.get('OfUserWithWeightPerImage') is not first


class OwnOrder(AnchorHead):
    """Its targets of one image come from a method, and in an order, of its own."""

    weight_items = (2, 4)
    directive = None

    def _get_target_single(self, anchors, gt_bboxes, img_meta, unmap=True):
        return anchors, torch.tensor([1]), torch.ones(1), anchors, torch.ones(1, 4), img_meta


def test_head_with_targets_in_an_order_of_its_own_says_which_are_weights():
    head = HeadWithWeightPerImage, OwnOrder
    head = type('Weighted', head, {})(num_classes=2, **copy.deepcopy(SETTINGS))
    anchors, meta = torch.zeros(1, 4), {loss_weight_key('rpn_head'): 0.5}
    for targets in (
        head._get_target_single(anchors, None, meta),
        head._get_target_single(anchors, None, img_meta=meta),
    ):
        assert [targets[i].flatten()[0].item() for i in (1, 2, 4)] == [1, 0.5, 0.5]
    no_order = type('NoOrder', (), dict(_get_target_single=OwnOrder._get_target_single))
    assert 'with weight_items' in why_not_weighted(no_order)


@pytest.mark.parametrize(('name', 'args'), [(name, args) for name in DENSE for args in ARGS.get(name, [{}])])
def test_dense_head_is_linear_in_the_weight_of_each_image(name, args):
    cfg = copy.deepcopy(SETTINGS) | args
    if name != 'RPNHead':
        cfg['num_classes'] = 2
    torch.manual_seed(0)
    head = HEADS.build(dict(type=name + SUFFIX, **cfg))
    values = torch.randn(2, 4, 3, 4)

    def run(*weights):
        head.zero_grad(set_to_none=True)
        feats = values.clone().requires_grad_()
        metas = [{**SHAPES, loss_weight_key('rpn_head'): w} for w in weights]
        labels = [] if name == 'RPNHead' else [[torch.zeros(len(g), dtype=torch.long) for g in OBJECTS]]
        losses = head.loss(*head([feats]), OBJECTS, *labels, metas)
        total = torch.stack([sum(v) if isinstance(v, list) else v for v in losses.values()])
        total.sum().backward()
        return total.detach(), feats.grad, torch.cat([p.grad.flatten() for p in head.parameters()])

    one, two, both, none = run(1, 0), run(0, 1), run(0.5, 10), run(0, 0)
    assert (one[0] > 0).all() and not one[1][1].any() and not two[1][0].any()
    for got, a, b, zero in zip(both, one, two, none):
        torch.testing.assert_close(got, 0.5 * a + 10 * b, rtol=1e-4, atol=1e-5)
        assert not zero.any()
