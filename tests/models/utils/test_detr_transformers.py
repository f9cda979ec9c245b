"""Transformers of DETR and Deformable DETR."""

import pytest
import torch

from mmdet.models.utils.builder import build_transformer
from mmdet.models.utils.transformer import DetrTransformerDecoder, DetrTransformerDecoderLayer, DetrTransformerEncoder
from mmdet.models.utils.transformers.deformable_detr_transformer import add_reference, cell_boxes, inverse_sigmoid

ATTENTION = dict(type='MultiheadAttention', embed_dims=8, num_heads=2)
DEFORMABLE = dict(type='MultiScaleDeformableAttention', embed_dims=8, num_heads=2, num_levels=2, num_points=2)
ENCODER_ORDER = ('self_attn', 'norm', 'ffn', 'norm')
DECODER_ORDER = ('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm')


def layers(attention, order):
    ffn = dict(type='FFN', feedforward_channels=16)  # mmcv's own default has 256 channels
    return dict(type='BaseTransformerLayer', attn_cfgs=attention, ffn_cfgs=ffn, operation_order=order)


def decoder_layers(attention=ATTENTION, order=DECODER_ORDER):
    kind = 'DetrTransformerDecoderLayer'
    return dict(type=kind, attn_cfgs=attention, feedforward_channels=16, operation_order=order)


def make_detr():
    torch.manual_seed(0)
    model = build_transformer(
        dict(
            type='Transformer',
            encoder=dict(
                type='DetrTransformerEncoder', num_layers=1, transformerlayers=layers([ATTENTION], ENCODER_ORDER)
            ),
            decoder=dict(
                type='DetrTransformerDecoder', num_layers=2, return_intermediate=True,
                transformerlayers=decoder_layers(),
            ),
        )
    )  # fmt: skip
    model.init_weights()
    return model.eval()


def make_deformable(**changes):
    torch.manual_seed(0)
    model = build_transformer(
        dict(
            type='DeformableDetrTransformer', num_feature_levels=2,
            encoder=dict(
                type='DetrTransformerEncoder', num_layers=1, transformerlayers=layers(DEFORMABLE, ENCODER_ORDER)
            ),
            decoder=dict(
                type='DeformableDetrTransformerDecoder', num_layers=2, return_intermediate=True,
                transformerlayers=decoder_layers([ATTENTION, DEFORMABLE]),
            ),
        ) | changes
    )  # fmt: skip
    model.init_weights()
    return model.eval()


def test_padding_does_not_reach_the_queries_of_detr():
    model, query, pos = make_detr(), torch.randn(3, 8), torch.randn(1, 8, 4, 5)
    x = torch.randn(1, 8, 4, 5)
    mask = torch.zeros(1, 4, 5, dtype=torch.bool)
    mask[:, :, 3:] = True
    found, memory = model(x, mask, query, pos)
    assert found.shape == (2, 1, 3, 8) and memory.shape == x.shape
    cut, _ = model(x[..., :3], mask[..., :3], query, pos[..., :3])
    torch.testing.assert_close(found, cut)
    assert not torch.allclose(found, model(x, torch.zeros_like(mask), query, pos)[0])


def test_images_of_a_batch_do_not_mix():
    model, query, pos = make_detr(), torch.randn(3, 8), torch.randn(2, 8, 2, 2)
    x, mask = torch.randn(2, 8, 2, 2), torch.zeros(2, 2, 2, dtype=torch.bool)
    torch.testing.assert_close(model(x, mask, query, pos)[0][:, 1:], model(x[1:], mask[1:], query, pos[1:])[0])


def test_decoder_gives_the_last_layer_or_all_of_them_normalised():
    torch.manual_seed(0)
    both = DetrTransformerDecoder(transformerlayers=decoder_layers(), num_layers=2, return_intermediate=True).eval()
    last = DetrTransformerDecoder(transformerlayers=decoder_layers(), num_layers=2).eval()
    last.load_state_dict(both.state_dict())
    query, memory = torch.randn(3, 1, 8), torch.randn(4, 1, 8)
    all_layers = both(query, memory, memory)
    torch.testing.assert_close(last(query, memory, memory), all_layers[1:])
    torch.testing.assert_close(all_layers.mean(-1), torch.zeros(2, 3, 1), atol=1e-5, rtol=0)


def test_encoder_normalises_last_only_if_its_layers_normalise_first():
    pre = ('norm', 'self_attn', 'norm', 'ffn')
    assert DetrTransformerEncoder(transformerlayers=layers(ATTENTION, pre), num_layers=1).post_norm is not None
    assert DetrTransformerEncoder(transformerlayers=layers(ATTENTION, ENCODER_ORDER), num_layers=1).post_norm is None


def test_decoder_layer_needs_all_operations():
    with pytest.raises(ValueError, match='operation_order: expected six'):
        DetrTransformerDecoderLayer(ATTENTION, 16, operation_order=ENCODER_ORDER)


def test_inverse_sigmoid_is_the_logit_and_stays_finite():
    x = torch.tensor([-1.0, 0.0, 0.25, 1.0])
    want = torch.tensor([1e-5, 1e-5, 0.25 / 0.75, 1e5]).log()
    torch.testing.assert_close(inverse_sigmoid(x), want)


def test_boxes_are_added_to_points_and_to_boxes():
    pred, ref = torch.tensor([1.0, 2, 3, 4]), torch.tensor([0.5, 0.75, 0.5, 0.25])
    three = torch.tensor(3.0).log().item()
    torch.testing.assert_close(add_reference(pred, ref[:2]), torch.tensor([1, 2 + three, 3, 4]))
    torch.testing.assert_close(add_reference(pred, ref), torch.tensor([1, 2 + three, 3, 4 - three]))


def test_reference_points_are_middles_of_cells_as_each_map_counts():
    shapes, ratios = torch.tensor([[2, 2], [1, 1]]), torch.tensor([[[1.0, 0.5], [0.5, 1.0]]])
    points = make_deformable().get_reference_points(shapes, ratios, torch.device('cpu'))
    assert points.shape == (1, 5, 2, 2)
    torch.testing.assert_close(points[0, 3], torch.tensor([[0.75, 0.75], [0.375, 1.5]]))  # last cell: on padding
    torch.testing.assert_close(points[0, 4, 0], torch.tensor([1.0, 0.25]))


def test_cells_propose_boxes_of_their_map():
    padding = torch.zeros(1, 5, dtype=torch.bool)
    padding[:, 1], padding[:, 3] = True, True  # the right column of the finer map
    boxes = cell_boxes(padding, [(2, 2), (1, 1)])
    torch.testing.assert_close(boxes[0, 2], torch.tensor([0.5, 0.75, 0.05, 0.05]))
    torch.testing.assert_close(boxes[0, 4], torch.tensor([0.5, 0.5, 0.1, 0.1]))
    memory = torch.randn(1, 5, 8)
    model = make_deformable(as_two_stage=True)
    features, unactivated = model.gen_encoder_output_proposals(memory, padding, torch.tensor([[2, 2], [1, 1]]))
    assert unactivated.isinf().all(-1).tolist() == [[False, True, False, True, False]]
    torch.testing.assert_close(features[0, 1], features[0, 3])  # both made from zeros
    torch.testing.assert_close(unactivated[0, 4].sigmoid(), boxes[0, 4])


def inputs(width=6):
    torch.manual_seed(1)
    feats = [torch.randn(1, 8, 4, 6)[..., :width], torch.randn(1, 8, 2, 3)[..., : width // 2]]
    masks = [torch.zeros(1, *f.shape[-2:], dtype=torch.bool) for f in feats]
    return feats, masks, [f * 0.1 for f in feats]


def test_padding_does_not_reach_the_queries_of_deformable_detr():
    model, query = make_deformable(), torch.randn(3, 16)
    feats, masks, pos = inputs()
    masks[0][..., 4:], masks[1][..., 2:] = True, True
    ones = model(feats, masks, query, pos)
    noisy = [torch.where(mask[:, None], 100.0, feat) for mask, feat in zip(masks, feats)]
    others = model(noisy, masks, query, pos)
    assert ones[0].shape == (2, 3, 1, 8) and ones[2].shape == (2, 1, 3, 2) and ones[3:] == (None, None)
    torch.testing.assert_close(ones[0], others[0])


def test_layers_move_boxes_where_they_are_asked_to():
    model = make_deformable(as_two_stage=True, two_stage_num_proposals=4)
    reg = torch.nn.ModuleList(torch.nn.Linear(8, 4) for _ in range(3))
    cls = torch.nn.ModuleList(torch.nn.Linear(8, 2) for _ in range(3))
    feats, masks, pos = inputs()
    model.get_proposal_pos_embed = lambda boxes: torch.zeros(1, 4, 16)  # 4 x 4 numbers would need 128 channels
    states, first, moved, logits, boxes = model(feats, masks, None, pos, reg_branches=reg, cls_branches=cls)
    assert first.shape == (1, 4, 4) and logits.shape == (1, 30, 2) and boxes.shape == (1, 30, 4)
    want = add_reference(reg[0](states[0].transpose(0, 1)), first).sigmoid()
    torch.testing.assert_close(moved[0], want)
    best = logits[0, :, 0].topk(4).indices
    torch.testing.assert_close(first[0], boxes[0, best].sigmoid())
    assert not moved.requires_grad and not first.requires_grad


class Recorder(torch.nn.Module):
    """A layer that keeps the reference points it is given."""

    def forward(self, query, reference_points, **kwargs):
        self.seen = reference_points
        return query


@pytest.mark.parametrize('width', [2, 4])
def test_layers_see_reference_points_as_each_map_counts(width):
    decoder = make_deformable().decoder
    decoder.layers = torch.nn.ModuleList([Recorder()])
    reference, ratios = torch.rand(1, 3, width), torch.tensor([[[0.5, 1.0], [1.0, 0.25]]])
    decoder(torch.zeros(3, 1, 8), reference_points=reference, valid_ratios=ratios)
    scale = ratios.repeat(1, 1, width // 2)
    torch.testing.assert_close(decoder.layers[0].seen[0, 2, 1], reference[0, 2] * scale[0, 1])
