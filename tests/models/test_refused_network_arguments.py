"""Arguments of networks that contradict each other or have no effect are refused when the network is built."""

import pytest
import torch

from mmdet.models import build_backbone, build_roi_extractor
from mmdet.models.utils import DyReLU, SELayer, SimplifiedBasicBlock

TWO = [dict(type='ReLU'), dict(type='Sigmoid')]
REFUSED = [
    (lambda: build_backbone(dict(type='SwinTransformer', strides=(2, 2, 2, 2))), 'must be patch_size=4.*got 2'),
    (
        lambda: build_backbone(dict(type='SwinTransformer', pretrain_img_size=(224, 224, 224))),
        r'pretrain_img_size: expected a number or \(height, width\)',
    ),
    (
        lambda: build_backbone(dict(type='PyramidVisionTransformer', pretrain_img_size=(224, 224, 224))),
        'pretrain_img_size: expected a number',
    ),
    (lambda: SELayer(16, act_cfg=TWO), 'a tuple of two'),
    (lambda: DyReLU(16, act_cfg=TWO), 'a tuple of two'),
    (lambda: SimplifiedBasicBlock(8, 8, with_cp=True), 'with_cp must be False'),
]


@pytest.mark.parametrize('build, text', REFUSED)
def test_network_is_refused(build, text):
    with pytest.raises(ValueError, match=text):
        build()


@pytest.mark.parametrize('name', ['ResNet', 'DetectoRS_ResNet', 'Res2Net', 'ResNeSt', 'HRNet', 'Darknet'])
@pytest.mark.parametrize('init_cfg', [['Pretrained'], [dict(type='Kaiming'), 'Pretrained'], 'a.pth'])
def test_initial_values_must_be_configs(name, init_cfg):
    depth = {} if name in ('HRNet', 'Darknet') else dict(depth=50)
    extra = dict(extra={}) if name == 'HRNet' else {}
    with pytest.raises(
        TypeError, match=r"init_cfg: expected (dict\(type='Pretrained', checkpoint=...\)|a dict or a list)"
    ):
        build_backbone(dict(type=name, init_cfg=init_cfg, **depth, **extra))


@pytest.mark.parametrize('aggregation, channels, given', [('concat', 5 * 4, 4 * 4), ('sum', 5, 4)])
def test_roi_features_whose_channels_do_not_add_up_are_refused(aggregation, channels, given):
    extractor = build_roi_extractor(
        dict(
            type='GenericRoIExtractor',
            aggregation=aggregation,
            roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=2),
            out_channels=channels,
            featmap_strides=[4, 8, 16, 32],
        )
    )
    feats = tuple(torch.rand(1, 4, 32 // 2**i, 32 // 2**i) for i in range(4))
    with pytest.raises(ValueError, match=f'of 4 levels gives {given} channels, not out_channels={channels}'):
        extractor(feats, torch.tensor([[0.0, 0, 0, 30, 30]]))
