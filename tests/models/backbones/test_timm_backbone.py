import importlib
import sys

import pytest
import torch

from mmdet.models.builder import build_backbone


def test_without_timm_the_error_says_what_to_install(monkeypatch):
    importlib.import_module('mmcls.models')  # as custom_imports of a config does
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='pip install timm'):
        build_backbone(dict(type='mmcls.TIMMBackbone', model_name='resnet18'))


def test_maps_of_several_stages_or_of_the_last():
    pytest.importorskip('timm')
    net = build_backbone(
        dict(type='TIMMBackbone', model_name='resnet18', features_only=True, out_indices=(1, 3), in_channels=1)
    )
    net.init_weights()
    assert [tuple(out.shape) for out in net(torch.rand(1, 1, 64, 64))] == [(1, 64, 16, 16), (1, 256, 4, 4)]
    last = build_backbone(dict(type='TIMMBackbone', model_name='resnet18', norm_layer='BN2d'))
    assert [tuple(out.shape) for out in last(torch.rand(1, 3, 64, 64))] == [(1, 512, 2, 2)]
    assert not any('fc' in name for name, _ in last.named_parameters())


def test_unknown_names_are_refused():
    pytest.importorskip('timm')
    with pytest.raises(KeyError, match='timm has no model .*resnet_18.*did you mean .*resnet18'):
        build_backbone(dict(type='TIMMBackbone', model_name='resnet_18'))
    with pytest.raises(KeyError, match='norm_layer: mmcv has no norm .*BB2d'):
        build_backbone(dict(type='TIMMBackbone', model_name='resnet18', norm_layer='BB2d'))
    with pytest.raises(TypeError, match='use checkpoint_path for a file'):
        build_backbone(dict(type='TIMMBackbone', model_name='resnet18', pretrained='a.pth'))
