import pytest
import torch
from roi_extractors_cases import generic, single


def test_roi_rescale_keeps_centres():
    rois = torch.tensor([[1, 10.0, 20.0, 30.0, 60.0]])
    assert single().roi_rescale(rois, 2.0).tolist() == [[1, 0, 0, 40, 80]]
    assert single().roi_rescale(rois, (0.5, 2.0)).tolist() == [[1, 0, 30, 40, 50]]


def test_unknown_roi_layer_names_the_nearest():
    with pytest.raises(KeyError, match='no layer .*RoiAlign.*did you mean .*RoIAlign'):
        generic(roi_layer=dict(type='RoiAlign'))
