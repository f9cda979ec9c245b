"""Faster ways to run a detector give what the plain way gives."""

import copy

import mmcv
import numpy as np
import pytest
import torch

from mmdet.models.options.acceleration import InputNorm

NORM = dict(mean=[120.0, 115, 100], std=[58.0, 57, 56], to_rgb=True)


def losses(model, batch):
    torch.manual_seed(0)
    model.train()
    found = model(**copy.deepcopy(batch))
    return {name: sum(v).item() if isinstance(v, list) else v.item() for name, v in found.items()}


def results(model, batch):
    model.eval()
    with torch.no_grad():
        found = model(img=[batch['img']], img_metas=[batch['img_metas']], return_loss=False)
    return np.concatenate([dets for image in found for dets in image])


def check_same(plain, fast, batch, fast_batch=None):
    fast_batch = batch if fast_batch is None else fast_batch
    assert list(plain.state_dict()) == list(fast.state_dict())
    assert losses(fast, fast_batch) == pytest.approx(losses(plain, batch), rel=1e-4)
    expected = results(plain, batch)
    assert len(expected)
    np.testing.assert_allclose(results(fast, fast_batch), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('name', ['faster_rcnn', 'retinanet'])
def test_channels_last(build, batch, name):
    fast = build(name, channels_last=True)
    assert fast.backbone.second.weight.is_contiguous(memory_format=torch.channels_last)
    seen = []
    fast.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].stride(1)))
    check_same(build(name), fast, batch)
    assert seen == [1, 1]


RESNET = dict(type='ResNet', depth=18, base_channels=4, out_indices=(1, 2), strides=(1, 2, 2, 2))


@pytest.mark.parametrize(
    'more', [{}, dict(channels_last=True), dict(compile=dict(parts=['backbone'], backend='eager'))]
)
def test_folded_norms(build, batch, more):
    torch.compiler.reset()
    neck = dict(type='FPN', in_channels=[8, 16], out_channels=4, num_outs=2, norm_cfg=dict(type='BN'))
    changes = dict(backbone=RESNET, neck=neck)
    plain, fast = build('faster_rcnn', **changes), build('faster_rcnn', **changes, fold_norm=True, **more)
    check_same(plain, fast, batch)
    for model in (plain, fast):
        torch.manual_seed(0)
        model.train()
        loss = model.train_step(copy.deepcopy(batch), None)['loss']
        loss.backward()
    for (name, a), b in zip(plain.backbone.named_parameters(), fast.backbone.parameters()):
        if a.requires_grad:
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_compiled_parts(build, batch):
    torch.compiler.reset()
    fast = build('faster_rcnn', compile=dict(parts=['backbone', 'roi_head.bbox_head'], backend='eager'))
    check_same(build('faster_rcnn'), fast, batch)
    assert fast.backbone.forward.__name__ == 'forward' and '_torchdynamo_orig_callable' in vars(fast.backbone.forward)
    with pytest.raises(ValueError, match="no part 'bakbone'.*backbone"):
        build('faster_rcnn', compile=dict(parts=['bakbone']))


@pytest.mark.parametrize('to_rgb', [True, False])
def test_uint8_images_are_normalised_in_the_model(build, batch, to_rgb):
    norm = NORM | dict(to_rgb=to_rgb)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    shapes = [(32, 48, 3), (24, 40, 3)]
    as_bytes, as_floats = [], []
    for image, shape, meta in zip(images, shapes, batch['img_metas']):
        meta['img_shape'] = shape
        image = image[: shape[0], : shape[1]]
        mean, std = np.float32(norm['mean']), np.float32(norm['std'])
        for img, out in ((image, as_bytes), (mmcv.imnormalize(image, mean, std, to_rgb), as_floats)):
            out.append(torch.from_numpy(mmcv.impad(img, shape=(32, 48)).transpose(2, 0, 1).copy()))
    plain_batch, byte_batch = ({**batch, 'img': torch.stack(stack)} for stack in (as_floats, as_bytes))
    torch.testing.assert_close(InputNorm(**norm)(byte_batch['img'], batch['img_metas']), plain_batch['img'])
    check_same(build('faster_rcnn'), build('faster_rcnn', input_norm=norm), plain_batch, byte_batch)


def test_float_images_pass_and_wrong_settings_are_named(build, batch):
    assert InputNorm(**NORM)(batch['img'], batch['img_metas']) is batch['img']
    with pytest.raises(TypeError, match='input_norm|means'):
        build('faster_rcnn', input_norm=dict(means=[0.0]))
