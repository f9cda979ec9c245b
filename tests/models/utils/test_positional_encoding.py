import math

import pytest
import torch

from mmdet.models.utils.positional_encoding import LearnedPositionalEncoding, SinePositionalEncoding


def test_sine_encoding_has_rows_first_then_columns():
    out = SinePositionalEncoding(num_feats=4, temperature=100)(torch.zeros(1, 3, 5))
    assert out.shape == (1, 8, 3, 5)
    row, column = 3, 5  # counted from 1, in the last cell
    want = [f(p / t) for p in (row, column) for t in (1, 10) for f in (math.sin, math.cos)]
    assert out[0, :, 2, 4].tolist() == pytest.approx(want, abs=1e-5)


def test_sine_encoding_counts_valid_cells_only():
    mask = torch.zeros(1, 4, 6, dtype=torch.bool)
    mask[:, :, 4:] = True
    encoding = SinePositionalEncoding(4, normalize=True)
    assert torch.allclose(encoding(mask)[..., :4], encoding(mask[..., :4]))


def test_normalised_sine_encoding_ends_at_scale():
    out = SinePositionalEncoding(2, normalize=True, scale=math.pi / 2)(torch.zeros(1, 3, 3))
    assert out[0, :, 2, 2].tolist() == pytest.approx([1, 0, 1, 0], abs=1e-5)
    with pytest.raises(TypeError, match='scale: expected a number'):
        SinePositionalEncoding(2, normalize=True, scale='2pi')


def test_learned_encoding_joins_column_and_row_vectors():
    encoding = LearnedPositionalEncoding(2, row_num_embed=4, col_num_embed=5)
    out = encoding(torch.zeros(3, 2, 3))
    assert out.shape == (3, 4, 2, 3)
    want = torch.cat((encoding.col_embed.weight[2], encoding.row_embed.weight[1]))
    assert torch.equal(out[1, :, 1, 2], want)
