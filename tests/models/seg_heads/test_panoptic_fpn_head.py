"""The semantic head of Panoptic FPN."""

import pytest
import torch
from torch.nn import functional as F

from mmdet.models.builder import build_head


def make(**changes):
    torch.manual_seed(0)
    return build_head(
        dict(
            type='PanopticFPNHead', num_things_classes=2, num_stuff_classes=3, in_channels=4, inner_channels=4,
            start_level=0, end_level=3, norm_cfg=dict(type='GN', num_groups=2),
            loss_seg=dict(type='CrossEntropyLoss', ignore_index=255),
        ) | changes
    )  # fmt: skip


@pytest.fixture
def feats():
    torch.manual_seed(1)
    return [torch.randn(2, 4, 16 // 2**i, 24 // 2**i) for i in range(4)]


def test_all_levels_come_to_the_size_of_the_finest(feats):
    head = make()
    out = head(feats)
    assert out['seg_preds'].shape == (2, 4, 16, 24) and out['feats'].shape == (2, 4, 16, 24)
    out['seg_preds'].square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in head.parameters())


def test_things_become_the_last_class_and_the_rest_stays():
    gt = torch.tensor([[0, 1, 2, 3, 4, 255, -1]])
    assert make()._set_things_to_void(gt).tolist() == [[3, 3, 0, 1, 2, 255, -1]]
    assert make()._set_things_to_void(gt[:, :6].byte()).tolist() == [[3, 3, 0, 1, 2, 255]]


def test_loss_is_cross_entropy_at_the_size_of_the_ground_truth(feats):
    head = make()
    gt = torch.randint(0, 5, (2, 1, 16, 24))
    gt[:, :, :, :3] = 255
    logits = head(feats)['seg_preds']
    want = F.cross_entropy(logits, head._set_things_to_void(gt)[:, 0], ignore_index=255, reduction='none').mean()
    torch.testing.assert_close(head.forward_train(feats, gt)['loss_seg'], want)
    assert head.forward_train(feats, gt[:, :, ::2, ::2])['loss_seg'].isfinite()


def test_nothing_but_ignored_pixels_gives_zero_on_the_graph(feats):
    head = make()
    loss = head.forward_train(feats, torch.full((2, 1, 8, 12), 255))['loss_seg']
    loss.backward()
    assert loss == 0 and all(p.grad is not None for p in head.parameters())


def test_test_maps_have_no_padding(feats):
    head = make()
    metas = [
        dict(img_shape=(50, 70, 3), ori_shape=(25, 35, 3), pad_shape=(64, 96, 3)),
        dict(img_shape=(64, 90, 3), ori_shape=(32, 45, 3), pad_shape=(64, 96, 3)),
    ]
    assert [tuple(m.shape) for m in head.simple_test(feats, metas)] == [(4, 50, 70), (4, 64, 90)]
    maps = head.simple_test(feats, metas, rescale=True)
    assert [tuple(m.shape) for m in maps] == [(4, 25, 35), (4, 32, 45)]
    whole = F.interpolate(head(feats)['seg_preds'], size=(64, 96), mode='bilinear')
    torch.testing.assert_close(head.simple_test(feats, metas)[1], whole[1, :, :, :90])
    assert head.simple_test(feats, metas[:1] * 2).shape == (2, 4, 50, 70)


def test_old_arguments_and_wrong_input():
    with pytest.warns(UserWarning, match='num_classes is deprecated'):
        assert make(num_classes=6).num_stuff_classes == 5
    with pytest.warns(UserWarning, match='fg_range and bg_range'):
        old = make(fg_range=(0, 1), bg_range=(2, 4))
    assert (old.num_things_classes, old.num_stuff_classes) == (2, 3)
    with pytest.raises(ValueError, match='need 3 feature maps, got 2'):
        make()([torch.zeros(1, 4, 4, 4)] * 2)
    head = make(loss_seg=None)
    with pytest.raises(ValueError, match='without loss_seg'):
        head.loss(torch.zeros(1, 4, 2, 2), torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_loss_is_linear_in_the_weight_of_each_image(feats, avg_non_ignore):
    loss = dict(type='CrossEntropyLoss', ignore_index=255, avg_non_ignore=avg_non_ignore)
    head, plain = make(type='PanopticFPNHeadWithWeightPerImage', loss_seg=loss), make(loss_seg=loss)
    gt = torch.arange(2 * 16 * 24).reshape(2, 1, 16, 24) % 5
    gt[0, :, :9] = 255

    def of(*weights):
        head.zero_grad(set_to_none=True)
        value = head.forward_train(feats, gt, [{'semantic_head.loss_weight': w} for w in weights])['loss_seg']
        value.backward()
        return value.detach(), head.conv_logits.weight.grad

    one, two = of(1, 0), of(0, 1)
    for got, a, b in zip(of(0.5, 3), one, two):
        torch.testing.assert_close(got, 0.5 * a + 3 * b)
    assert of(1, 1)[0] == plain.forward_train(feats, gt)['loss_seg']
    value, grad = of(0, 0)
    assert value == 0 and not grad.any()
