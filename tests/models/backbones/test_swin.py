import pytest
import torch
import torchvision
from torch import nn

from mmdet.models.backbones.layers.swin_attention import shifted_window_mask, window_partition, window_reverse
from mmdet.models.backbones.swin import ShiftWindowMSA, SwinBlock, SwinBlockSequence, SwinTransformer, WindowMSA
from mmdet.models.builder import build_backbone
from mmdet.models.utils.ckpt_convert import swin_converter

SIZES = dict(embed_dims=4, depths=(2, 2), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1), window_size=3)


def small(**kwargs):
    return SwinTransformer(**{**SIZES, **kwargs})


def reference():
    """torchvision's network of these sizes, and its weights under the names that the authors' files have."""
    net = torchvision.models.SwinTransformer([4, 4], 4, [2, 2], [1, 2], [3, 3], stochastic_depth_prob=0.0).eval()
    names = {'features.0.0.': 'patch_embed.proj.', 'features.0.2.': 'patch_embed.norm.'}
    names |= {f'features.{2 * i + 1}.{j}.': f'layers.{i}.blocks.{j}.' for i in range(2) for j in range(2)}
    names |= {'features.2.': 'layers.0.downsample.', '.mlp.0.': '.mlp.fc1.', '.mlp.3.': '.mlp.fc2.'}
    weights = {}
    for name, value in net.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new) if name.startswith(old) or old[0] == '.' else name
        weights[name] = value.view(9, 9) if name.endswith('index') else value
    weights['layers.0.blocks.1.attn_mask'] = torch.zeros(1)
    return net, weights


def test_converted_checkpoint_gives_the_numbers_of_another_implementation(tmp_path):
    torch.manual_seed(0)
    net, weights = reference()
    torch.save(dict(model=weights), tmp_path / 'swin.pth')
    ours = small(convert_weights=True, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'swin.pth'))).eval()
    ours.init_weights()
    ours.norm1.load_state_dict(net.norm.state_dict())
    x = torch.randn(2, 3, 40, 28)  # 10 x 7 patches: windows of 3 need padding
    with torch.no_grad():
        want = net.norm(net.features(x)).permute(0, 3, 1, 2)
        out = ours(x)[1]
    assert out.shape == (2, 8, 5, 4)
    assert torch.allclose(out, want, atol=1e-5)


def test_converter_leaves_nothing_but_the_classifier_and_masks_out():
    converted = swin_converter(reference()[1])
    own = {f'backbone.{name}' for name in small().state_dict()}
    assert set(converted) - own == {'backbone.norm.weight', 'backbone.norm.bias'}
    assert own - set(converted) == {f'backbone.norm{i}.{kind}' for i in (0, 1) for kind in ('weight', 'bias')}


def test_windows_are_cut_row_by_row_and_put_together_again():
    x = torch.arange(24).view(1, 4, 6, 1)
    windows = window_partition(x, 2)
    assert windows.shape == (6, 2, 2, 1) and windows[4].flatten().tolist() == [14, 15, 20, 21]
    assert torch.equal(window_reverse(windows, 4, 6), x)


def test_windows_of_a_flat_map_are_no_view_with_gaps():
    windows = window_partition(torch.arange(12).view(1, 2, 6, 1), 2)
    assert windows.view(3, 4).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]


def test_relative_positions_of_a_window_of_two():
    index = WindowMSA(4, 1, (2, 2)).relative_position_index
    # (row difference + 1) * 3 + column difference + 1
    assert index.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_attention_is_the_softmax_of_products_and_biases():
    torch.manual_seed(0)
    attention = WindowMSA(4, 2, (2, 2)).eval()
    attention.init_weights()
    x, mask = torch.randn(6, 4, 4), torch.randn(3, 4, 4)
    query, key, value = attention.qkv(x).view(6, 4, 3, 2, 2).permute(2, 0, 3, 1, 4)
    logits = query @ key.transpose(-2, -1) / 2**0.5 + attention.position_bias() + mask.repeat(2, 1, 1)[:, None]
    want = attention.proj((logits.softmax(-1) @ value).transpose(1, 2).reshape(6, 4, 4))
    assert torch.allclose(attention(x, mask), want, atol=1e-6)


def test_mask_lets_only_former_neighbours_see_each_other():
    mask = shifted_window_mask(4, 4, 2, 1, like=torch.zeros(1))
    assert mask.shape == (4, 4, 4) and torch.count_nonzero(mask[0]) == 0
    # the last window holds one patch of each corner of the map
    assert torch.equal(mask[3], -100 * (1 - torch.eye(4)))
    # the second one: left and right column come from opposite sides
    assert mask[1, 0].tolist() == [0, -100, 0, -100]


@pytest.mark.parametrize('shift', [0, 1])
def test_a_patch_sees_its_window_only(shift):
    torch.manual_seed(0)
    attention = ShiftWindowMSA(4, 1, 2, shift_size=shift).eval()
    x = torch.randn(1, 16, 4, requires_grad=True)
    attention(x, (4, 4))[0, 5].sum().backward()  # row 1, column 1
    seen = set(x.grad[0].abs().sum(-1).nonzero().flatten().tolist())
    assert seen == ({0, 1, 4, 5} if shift == 0 else {5, 6, 9, 10})
    with pytest.raises(ValueError, match=r'query: expected 4 \* 5 patches, got 16'):
        attention(x, (4, 5))


def test_outputs_have_strides_4_to_32_and_gradients_reach_everything():
    net = build_backbone(
        dict(type='SwinTransformer', embed_dims=4, num_heads=(1, 2, 2, 4), depths=(2, 2, 2, 2), use_abs_pos_embed=True)
    )
    net.init_weights()
    outs = net(torch.randn(1, 3, 65, 97))
    assert [tuple(out.shape) for out in outs] == [(1, 4, 17, 25), (1, 8, 9, 13), (1, 16, 5, 7), (1, 32, 3, 4)]
    sum((out * torch.rand_like(out)).sum() for out in outs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    rates = [block.ffn.dropout_layer.drop_prob for stage in net.stages for block in stage.blocks]
    assert torch.allclose(torch.tensor(rates), torch.linspace(0, 0.1, 8))


def test_the_parts_of_a_block_say_their_widths():
    block = SwinBlock(embed_dims=8, num_heads=4, feedforward_channels=24, window_size=2)
    assert (block.ffn.embed_dims, block.ffn.feedforward_channels) == (8, 24)
    assert block.attn.w_msa.num_heads == 4


def test_initial_values_are_the_papers():
    net = small(embed_dims=32, use_abs_pos_embed=True)
    net.init_weights()
    block = net.stages[0].blocks[0]
    for table in (block.ffn.layers[1].weight, block.attn.w_msa.relative_position_bias_table, net.absolute_pos_embed):
        assert 0.015 < table.std() < 0.025
    assert not block.attn.w_msa.qkv.bias.any()


def test_with_cp_gives_the_same_outputs_and_gradients():
    torch.manual_seed(0)
    nets = [small(with_cp=with_cp, drop_path_rate=0.0) for with_cp in (False, True)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(1, 3, 24, 24)
    for net in nets:
        sum(out.square().sum() for out in net(x)).backward()
    assert all(
        torch.allclose(a.grad, b.grad) for a, b in zip(*(net.parameters() for net in nets)) if a.grad is not None
    )


def test_frozen_stages():
    net = small(frozen_stages=1, use_abs_pos_embed=True).train()
    assert {n.split('.')[0] for n, p in net.named_parameters() if not p.requires_grad} == {
        'patch_embed',
        'absolute_pos_embed',
        'stages',
        'norm0',
    }
    assert not net.stages[0].training and net.stages[1].training
    assert all(p.requires_grad for p in net.stages[1].parameters())


def test_checkpoint_of_another_window_is_resized(tmp_path):
    torch.manual_seed(0)
    source = small(use_abs_pos_embed=True, pretrain_img_size=32)
    table = source.stages[0].blocks[0].attn.w_msa.relative_position_bias_table
    table.data[:] = 3.0
    weights = {f'backbone.{name}': value for name, value in source.state_dict().items()}
    torch.save(weights, tmp_path / 'swin.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'swin.pth'))
    net = small(use_abs_pos_embed=True, pretrain_img_size=48, window_size=5, init_cfg=init_cfg)
    net.init_weights()
    attention = net.stages[0].blocks[0].attn.w_msa
    assert attention.relative_position_bias_table.shape == (81, 1)
    assert torch.allclose(attention.relative_position_bias_table, torch.tensor(3.0))
    assert torch.equal(attention.relative_position_index, WindowMSA(4, 1, (5, 5)).relative_position_index)
    assert net.absolute_pos_embed.shape == (1, 144, 4)
    assert torch.equal(net.stages[0].blocks[0].attn.w_msa.qkv.weight, source.stages[0].blocks[0].attn.w_msa.qkv.weight)


def test_checkpoint_that_does_not_fit_at_all_is_refused(tmp_path):
    torch.save(dict(a=torch.zeros(1)), tmp_path / 'other.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match='no tensor fits SwinTransformer'):
        small(init_cfg=init_cfg).init_weights()
    with pytest.raises(ValueError, match="begins with the prefix 'backbone.'"):
        small(init_cfg=dict(init_cfg, prefix='backbone')).init_weights()


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(strides=(4, 2, 2)), 'expected one entry for each of the 2 stages'),
        (dict(out_indices=(2,)), r'out_indices: expected numbers in \[0, 2\)'),
        (dict(frozen_stages=3), 'frozen_stages'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small(**kwargs)
    with pytest.raises(ValueError, match='shift_size'):
        ShiftWindowMSA(4, 1, 2, shift_size=2)
    with pytest.raises(ValueError, match='drop_path_rate: expected depth=2'):
        SwinBlockSequence(4, 1, 8, 2, drop_path_rate=[0.1])


def test_other_initial_values_are_obeyed():
    net = small(init_cfg=dict(type='Constant', val=0.5, layer='Linear'))
    net.init_weights()
    assert all((m.weight == 0.5).all() for m in net.modules() if isinstance(m, nn.Linear))
