import pytest
import torch
from detr_transformers_cases import ATTENTION, ENCODER_ORDER, decoder_layers, layers

from mmdet.models.utils.builder import build_transformer
from mmdet.models.utils.transformer import DetrTransformerDecoder, DetrTransformerDecoderLayer, DetrTransformerEncoder


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
