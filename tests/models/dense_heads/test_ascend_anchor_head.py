import pytest
import torch

from mmdet.models.dense_heads.ascend_anchor_head import pad_rows


def test_rows_are_padded():
    assert pad_rows([torch.tensor([1, 2]), torch.tensor([3])], 3, -1).tolist() == [[1, 2, -1], [3, -1, -1]]
    with pytest.raises(ValueError, match='2 rows do not fit into 1'):
        pad_rows([torch.tensor([1, 2])], 1, 0)
