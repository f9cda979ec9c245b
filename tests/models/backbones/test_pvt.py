import pytest
import torch
from authors_pvt import AuthorsPVT
from torch import nn

from mmdet.models.backbones.pvt import AbsolutePositionEmbedding, MixFFN, SpatialReductionAttention
from mmdet.models.builder import build_backbone
from mmdet.models.utils.ckpt_convert import pvt_convert

SIZES = dict(
    embed_dims=4,
    num_layers=[2, 1, 1, 1],
    num_heads=[1, 2, 2, 2],
    sr_ratios=[4, 2, 2, 1],
    mlp_ratios=[2, 2, 2, 2],
)


def small(second=False, **kwargs):
    kind = dict(type='PyramidVisionTransformerV2') if second else dict(type='PyramidVisionTransformer')
    return build_backbone({**kind, **SIZES, 'pretrain_img_size': 64, **kwargs})


@pytest.mark.parametrize('second', [False, True])
def test_converted_checkpoint_gives_the_authors_numbers(second, tmp_path):
    torch.manual_seed(0)
    theirs = AuthorsPVT(second).eval()
    torch.save(theirs.state_dict(), tmp_path / 'pvt.pth')
    ours = small(second, init_cfg=dict(checkpoint=str(tmp_path / 'pvt.pth'))).eval()
    ours.init_weights()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for out, want in zip(ours(x), theirs(x), strict=True):
            assert torch.allclose(out, want, atol=1e-5)


@pytest.mark.parametrize('second', [False, True])
def test_converter_names_every_parameter(second):
    assert set(pvt_convert(AuthorsPVT(second).state_dict())) == set(small(second).state_dict())


@pytest.mark.parametrize('second', [False, True])
def test_outputs_have_strides_4_to_32_and_gradients_reach_everything(second):
    net = small(second)
    net.init_weights()
    outs = net(torch.randn(1, 3, 64, 96))
    assert [tuple(out.shape) for out in outs] == [(1, 4, 16, 24), (1, 8, 8, 12), (1, 8, 4, 6), (1, 8, 2, 3)]
    sum((out * torch.rand_like(out)).sum() for out in outs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_own_checkpoint_is_loaded_without_conversion(tmp_path):
    source = small(out_indices=(3,))
    torch.save(source.state_dict(), tmp_path / 'own.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'own.pth'))
    net = small(convert_weights=False, init_cfg=init_cfg)
    net.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), net.state_dict().values()))
    assert len(source(torch.rand(1, 3, 64, 64))) == 1


def test_initial_values_are_the_papers():
    net = small(True, embed_dims=16)
    net.init_weights()
    block = net.layers[1][1][0]
    # 3x3 depthwise: nine weights for each output
    assert 0.4 < block.ffn.layers[1].weight.std() < 0.55 and not block.ffn.layers[1].bias.any()
    assert 0.015 < block.attn.attn.out_proj.weight.std() < 0.025


def test_position_embedding_is_resized_to_the_map():
    embedding = AbsolutePositionEmbedding((2, 3), 1).eval()
    embedding.pos_embed.data = torch.tensor([0.0, 1, 2, 10, 11, 12]).view(1, 6, 1)
    x = torch.zeros(1, 2, 1)
    assert embedding(torch.zeros(1, 6, 1), (2, 3)).flatten().tolist() == [0, 1, 2, 10, 11, 12]
    assert embedding(x, (2, 1)).flatten().tolist() == [1, 11]


def test_feed_forward_and_attention_add_to_what_they_are_given():
    x, identity = torch.randn(1, 6, 4), torch.randn(1, 6, 4)
    ffn, attention = MixFFN(4, 8, use_conv=True), SpatialReductionAttention(4, 2, sr_ratio=2)
    for parameter in (ffn.layers[4].weight, ffn.layers[4].bias, attention.attn.out_proj.weight):
        nn.init.zeros_(parameter)
    for module in (ffn, attention):
        assert torch.equal(module(x, (2, 3)), x)
        assert torch.equal(module(x, (2, 3), identity=identity), identity)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(num_layers=[1, 1]), 'num_layers: expected num_stages=4 entries'),
        (dict(out_indices=(4,)), r'out_indices: expected numbers in \[0, 4\)'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small(**kwargs)
    with pytest.raises(ValueError, match='batch_first'):
        SpatialReductionAttention(4, 1, batch_first=False)
