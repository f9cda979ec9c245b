"""Configs that name mmcls work without it; an installed mmcls comes first."""

import importlib.util
import sys

import pytest
import torch
from mmcv import Config

from mmdet._optional_import import StandInFinder, install
from mmdet.models.backbones.convnext import ConvNeXt
from mmdet.models.builder import build_backbone
from mmdet.models.utils.mmcls_scope import is_installed

pytestmark = pytest.mark.skipif(is_installed('mmcls'), reason='mmcls is installed, and answers itself')

CONVNEXT = """
custom_imports = dict(imports=['mmcls.models'], allow_failed_imports=False)
backbone = dict(type='mmcls.ConvNeXt', arch=dict(depths=[1, 1], channels=[4, 8]), out_indices=[0, 1],
                gap_before_final_norm=False, init_cfg=None)
"""


def test_config_with_custom_imports_is_read_and_its_backbone_built(tmp_path):
    (tmp_path / 'convnext.py').write_text(CONVNEXT)
    cfg = Config.fromfile(str(tmp_path / 'convnext.py'))
    net = build_backbone(cfg.backbone)
    assert type(net) is ConvNeXt
    assert [tuple(out.shape) for out in net(torch.rand(1, 3, 16, 16))] == [(1, 4, 4, 4), (1, 8, 2, 2)]


def test_what_is_not_stood_in_for_says_what_there_is():
    import mmcls.models

    assert mmcls.models.ConvNeXt is ConvNeXt
    with pytest.raises(AttributeError, match=r"with BACKBONES, ConvNeXt, TIMMBackbone only, not 'VGG' \(pip install"):
        _ = mmcls.models.VGG
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('mmcls.apis')
    with pytest.raises(KeyError, match='mmcls.VGG: mmcls is not installed, and of its classes mmdet has ConvNeXt'):
        build_backbone(dict(type='mmcls.VGG'))


def test_an_installed_package_comes_first(tmp_path, monkeypatch):
    (tmp_path / 'absent_one').mkdir()
    (tmp_path / 'absent_one' / '__init__.py').write_text('real = True\n')
    monkeypatch.setattr(sys, 'meta_path', [*sys.meta_path, StandInFinder('absent_one', {})])
    assert importlib.util.find_spec('absent_one').loader_state == 'mmdet' and not is_installed('absent_one')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert is_installed('absent_one')
    assert importlib.import_module('absent_one').real
    sys.modules.pop('absent_one')


def test_a_second_call_changes_nothing():
    before = list(sys.meta_path)
    install()
    assert sys.meta_path == before
