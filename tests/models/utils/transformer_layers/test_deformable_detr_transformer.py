import pytest
import torch
from detr_transformers_cases import ATTENTION, ENCODER_ORDER, decoder_layers, layers

from mmdet.models.utils.builder import build_transformer
from mmdet.models.utils.transformers.deformable_detr_transformer import add_reference, cell_boxes, inverse_sigmoid

DEFORMABLE = dict(type='MultiScaleDeformableAttention', embed_dims=8, num_heads=2, num_levels=2, num_points=2)


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
