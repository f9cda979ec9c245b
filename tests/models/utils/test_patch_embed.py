import pytest
import torch
from torch import nn

from mmdet.models.utils.transformers.patch_embed import (
    AdaptivePadding,
    PatchEmbed,
    PatchMerging,
    nchw_to_nlc,
    nlc_to_nchw,
    resized_grid,
)


def test_sequence_and_map_are_row_by_row_and_inverse_to_each_other():
    x = torch.arange(24.0).view(1, 2, 3, 4)
    sequence = nchw_to_nlc(x)
    assert torch.equal(sequence[0, 5], x[0, :, 1, 1])
    assert torch.equal(nlc_to_nchw(sequence, (3, 4)), x)


def test_sequence_and_map_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r'expected \(N, 3 \* 4, C\), got \(1, 11, 2\)'):
        nlc_to_nchw(torch.zeros(1, 11, 2), (3, 4))
    with pytest.raises(ValueError, match='expected'):
        nchw_to_nlc(torch.zeros(1, 2, 3))


@pytest.mark.parametrize(
    ('settings', 'shape', 'lacking'),
    [
        (dict(kernel_size=4, stride=4), (10, 8), (2, 0)),
        (dict(kernel_size=3, stride=1), (5, 5), (2, 2)),
        (dict(kernel_size=3, stride=2, dilation=2), (7, 8), (4, 3)),
        (dict(kernel_size=(2, 4), stride=(2, 4)), (5, 5), (1, 3)),
    ],
)
def test_padding_is_what_the_last_window_lacks(settings, shape, lacking):
    assert AdaptivePadding(**settings).get_pad_shape(shape) == lacking


def test_padding_in_the_corner_and_on_all_sides():
    x = torch.ones(1, 1, 1, 1)
    assert AdaptivePadding(3, 1)(x)[0, 0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert AdaptivePadding(3, 1, padding='same')(x)[0, 0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="padding: expected 'same' or 'corner'"):
        AdaptivePadding(padding='valid')


def test_patch_embed_sums_each_patch_and_pads_the_rest():
    embed = PatchEmbed(1, 1, kernel_size=2, stride=2, bias=False, input_size=3)
    nn.init.ones_(embed.projection.weight)
    sequence, size = embed(torch.arange(9.0).view(1, 1, 3, 3))
    assert size == embed.init_out_size == (2, 2)
    assert sequence[0, :, 0].tolist() == [0 + 1 + 3 + 4, 2 + 5, 6 + 7, 8]


def test_patch_embed_with_numbers_as_padding_has_a_norm_behind_it():
    embed = PatchEmbed(3, 4, kernel_size=3, stride=2, padding=1, norm_cfg=dict(type='LN'), input_size=(5, 8))
    sequence, size = embed(torch.rand(2, 3, 5, 8))
    assert embed.adap_padding is None and size == embed.init_out_size == (3, 4)
    assert torch.allclose(sequence.mean(-1), torch.zeros(2, 12), atol=1e-6)


def test_patch_merging_sees_windows_channel_by_channel():
    merging = PatchMerging(2, 8, norm_cfg=None)
    merging.reduction.weight.data = torch.eye(8)
    x = torch.arange(24.0).view(1, 2, 3, 4)
    merged, size = merging(nchw_to_nlc(x), (3, 4))
    assert size == (2, 2)
    assert merged[0, 0].tolist() == [0, 1, 4, 5, 12, 13, 16, 17]
    assert merged[0, 3].tolist() == [10, 11, 0, 0, 22, 23, 0, 0]
    with pytest.raises(ValueError, match='expected'):
        merging(nchw_to_nlc(x), (4, 4))


def test_resized_grid_keeps_a_plane():
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing='ij')
    plane = (rows + 10 * columns).view(1, 24, 1)
    assert resized_grid(plane, (4, 6), (4, 6)) is plane
    half = resized_grid(plane, (4, 6), (2, 3), mode='bilinear').view(2, 3)
    assert torch.allclose(half, torch.tensor([[5.5, 25.5, 45.5], [7.5, 27.5, 47.5]]))
