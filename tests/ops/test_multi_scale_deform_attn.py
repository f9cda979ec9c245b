"""Attention that reads a few points of each map."""

import pytest
import torch
from mmcv.cnn.bricks.transformer import build_attention

from mmdet.ops import MultiScaleDeformableAttention, multi_scale_deformable_attn

SHAPES = [(3, 4), (2, 2)]


def value_and_weights():
    torch.manual_seed(0)
    value = torch.randn(2, 16, 2, 3)  # images, cells, heads, channels
    weights = torch.rand(2, 5, 2, 2, 2)  # images, queries, heads, levels, points
    return value, weights


def test_points_in_the_middle_of_cells_read_these_cells():
    value, weights = value_and_weights()
    cells = [torch.randint(0, h * w, (2, 5, 2, 2)) for h, w in SHAPES]
    locations = torch.stack(
        [torch.stack([(c % w + 0.5) / w, (c // w + 0.5) / h], -1) for c, (h, w) in zip(cells, SHAPES)], dim=3
    )
    out = multi_scale_deformable_attn(value, SHAPES, locations, weights)
    for image in range(2):
        for query in range(5):
            for head in range(2):
                want = sum(
                    weights[image, query, head, level, point]
                    * value[image, (0, 12)[level] + cells[level][image, query, head, point], head]
                    for level in range(2)
                    for point in range(2)
                )
                torch.testing.assert_close(out[image, query, head * 3 : head * 3 + 3], want)


def test_outside_is_zero_and_edges_are_half():
    value = torch.ones(1, 4, 1, 1)
    points = torch.tensor([[-0.5, 0.5], [0.0, 0.5], [0.5, 0.5]]).view(1, 3, 1, 1, 1, 2)
    out = multi_scale_deformable_attn(value, [(2, 2)], points, torch.ones(1, 3, 1, 1, 1))
    assert out.flatten().tolist() == [0, 0.5, 1]


def test_gradients_are_those_of_differences():
    value = torch.randn(1, 4, 1, 2, dtype=torch.double, requires_grad=True)
    points = torch.rand(1, 2, 1, 1, 2, 2, dtype=torch.double) * 0.4 + 0.05  # off the kinks between cells
    weights = torch.rand(1, 2, 1, 1, 2, dtype=torch.double, requires_grad=True)
    points.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v, p, w: multi_scale_deformable_attn(v, [(2, 2)], p, w), (value, points, weights)
    )


def make(**changes):
    torch.manual_seed(0)
    cfg = dict(type='MultiScaleDeformableAttention', embed_dims=4, num_heads=2, num_levels=2, num_points=2, dropout=0.0)
    return build_attention(cfg | changes)


def call(layer, query, reference, **kwargs):
    return layer(query, reference_points=reference, spatial_shapes=torch.tensor(SHAPES), **kwargs)


def test_it_is_registered_and_starts_on_rays():
    layer = make()
    assert isinstance(layer, MultiScaleDeformableAttention)
    offsets = layer.sampling_offsets.bias.view(2, 2, 2, 2)  # heads, levels, points, xy
    torch.testing.assert_close(offsets[:, 0], torch.tensor([[[1.0, 0], [2, 0]], [[-1, 0], [-2, 0]]]))
    assert layer.sampling_offsets.weight.abs().sum() == layer.attention_weights.weight.abs().sum() == 0


def test_batch_first_is_the_same_transposed():
    query, reference = torch.randn(16, 3, 4), torch.rand(3, 16, 2, 2)
    first = call(make(batch_first=True), query.transpose(0, 1), reference)
    torch.testing.assert_close(call(make(), query, reference), first.transpose(0, 1))


def test_boxes_scale_the_offsets():
    layer, offsets = make(), torch.tensor([2.0, 4.0]).expand(1, 1, 2, 2, 2, 2)
    box = torch.tensor([0.5, 0.5, 0.2, 0.1]).expand(1, 1, 2, 4)
    got = layer._locations(box, offsets, SHAPES)
    torch.testing.assert_close(got[0, 0, 0, 0, 0], torch.tensor([0.5 + 2 / 2 * 0.1, 0.5 + 4 / 2 * 0.05]))
    got = layer._locations(box[..., :2], offsets, SHAPES)
    torch.testing.assert_close(got[0, 0, 0, 0, 0], torch.tensor([0.5 + 2 / 4, 0.5 + 4 / 3]))


def test_padding_is_read_as_zero_and_adds_nothing():
    layer, reference = make(), torch.rand(1, 16, 2, 2)
    query = torch.randn(16, 1, 4)
    everything = torch.ones(1, 16, dtype=torch.bool)
    out = call(layer, query, reference, key_padding_mask=everything)
    torch.testing.assert_close(out, query + layer.output_proj.bias)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match='multiple of num_heads'):
        make(num_heads=3)
    with pytest.raises(ValueError, match='do not have 15 cells in all'):
        call(make(), torch.zeros(15, 1, 4), torch.zeros(1, 15, 2, 2))
    with pytest.raises(ValueError, match='2 or 4 numbers, got 3'):
        call(make(), torch.zeros(16, 1, 4), torch.zeros(1, 16, 2, 3))
