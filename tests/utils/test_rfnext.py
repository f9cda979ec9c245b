import json

import pytest
import torch
from mmcv import Config
from mmcv.cnn import Conv2dRFSearchOp, RFSearchHook
from torch import nn

from mmdet.models.builder import build_backbone
from mmdet.utils import rfnext_init_model

SEARCH = dict(step=0, max_step=2, search_interval=1, exp_rate=0.5, init_alphas=0.01, mmin=1, mmax=24, num_branches=2)


def config(**hook):
    hook = dict(type='RFSearchHook', config=dict(search=dict(SEARCH, skip_layer=[])), verbose=False, **hook)
    return Config(dict(custom_hooks=[dict(type='NumClassCheckHook'), hook]))


def network():
    return build_backbone(
        dict(type='PyramidVisionTransformerV2', embed_dims=4, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 1, 1])
    )


def test_found_dilations_are_set_in_convolutions_larger_than_a_pixel(tmp_path):
    net = network()
    name = 'layers.0.1.0.ffn.layers.1'
    larger = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] % 2 and m.padding[0]]
    structure = {f'module.{n}': [3, 2] if n == name else [1, 1] for n in larger}
    (tmp_path / 'found.json').write_text(json.dumps(dict(structure=structure)))
    rfnext_init_model(net, config(mode='fixed_single_branch', rfstructure_file=str(tmp_path / 'found.json')))
    conv = net.get_submodule(name)
    assert tuple(conv.dilation) == (3, 2) and tuple(conv.padding) == (3, 2)
    assert tuple(net.get_submodule('layers.1.1.0.ffn.layers.1').dilation) == (1, 1)


def test_search_puts_branches_in_the_place_of_convolutions():
    net = network()
    rfnext_init_model(net, config(mode='search'))
    searched = {name for name, module in net.named_modules() if isinstance(module, Conv2dRFSearchOp)}
    assert 'layers.0.1.0.ffn.layers.1' in searched and 'layers.0.1.0.ffn.layers.0' not in searched


def test_no_hook_changes_nothing_and_two_are_refused():
    net = network()
    before = str(net)
    rfnext_init_model(net, Config(dict(custom_hooks=[dict(type='NumClassCheckHook')])))
    assert str(net) == before
    cfg = config(mode='search')
    cfg.custom_hooks = [*cfg.custom_hooks, cfg.custom_hooks[1]]
    with pytest.raises(ValueError, match='the config has 2'):
        rfnext_init_model(net, cfg)


def test_dilations_that_a_search_writes_are_set_in_both_fixed_forms(tmp_path):
    """A step of the search on a wrapped network, as a runner has it; then its file in new networks."""
    cfg = config(mode='search')
    searched = nn.ModuleDict(dict(module=network()))
    rfnext_init_model(searched['module'], cfg)
    assert 'structure' not in cfg.custom_hooks[1].config  # the config is as it was
    name = 'layers.0.1.0.ffn.layers.1'
    branches = searched['module'].get_submodule(name)
    assert branches.dilation_rates == [(1, 1), (2, 2)]
    with torch.no_grad():
        branches.branch_weights.copy_(torch.tensor([0.1, 0.9]))  # round(0.1 * 1 + 0.9 * 2) = 2
    hook = RFSearchHook(mode='search', config=dict(search=dict(SEARCH, skip_layer=[])), verbose=False)
    hook.step(searched, str(tmp_path))
    file = str(tmp_path / 'local_search_config_step1.json')
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for mode, kind in (('fixed_single_branch', nn.Conv2d), ('fixed_multi_branch', Conv2dRFSearchOp)):
        net = network()
        rfnext_init_model(net, config(mode=mode, rfstructure_file=file))
        conv = net.get_submodule(name)
        assert isinstance(conv, kind)
        conv = conv if kind is nn.Conv2d else conv.op_layer
        assert tuple(conv.dilation) == (2, 2) and net(images)[0].isfinite().all()


@pytest.mark.parametrize(
    ('hook', 'error', 'message'),
    [
        (dict(mode='fixed_single_branch'), ValueError, 'needs an rfstructure_file'),
        (dict(mode='fixed_multi_branch', rfstructure_file='no.json'), FileNotFoundError, "'no.json'.*mode='search'"),
    ],
)
def test_structure_that_is_missing_is_asked_for(hook, error, message):
    with pytest.raises(error, match=message):
        rfnext_init_model(network(), config(**hook))


def test_convolution_that_the_structure_lacks_is_named(tmp_path):
    (tmp_path / 'found.json').write_text(json.dumps(dict(structure={})))
    with pytest.raises(ValueError, match=r"found\.json has no 'module\.layers"):
        rfnext_init_model(network(), config(mode='fixed_single_branch', rfstructure_file=str(tmp_path / 'found.json')))
