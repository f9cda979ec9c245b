"""Layers that are traced for any number of RoIs give what torch's own give."""

import pytest
import torch
from torch import nn

from mmdet.apis.export import requirements
from mmdet.apis.export.operators import IN_GRAPH
from mmdet.apis.export.plain_layers import PlainBatchNorm, PlainGroupNorm, use_plain_layers
from mmdet.models.dense_heads.functional.decoding import best_rows
from mmdet.utils.running.replaceable import replaced


class Detector(nn.Module):
    """A part with norms of RoIs, and one with norms of images."""

    def __init__(self, norm):
        super().__init__()
        self.roi_head, self.neck = nn.Sequential(norm), nn.Sequential(nn.GroupNorm(2, 4))

    def forward(self, maps, scores):
        """Normalised rows (n, 4, 3, 3) of those whose score (m,) is positive."""
        return self.roi_head(maps[(scores > 0).nonzero()[:, 0]])


def settled(norm):
    """The norm in a test, its numbers unlike those that it begins with."""
    torch.manual_seed(0)
    for values in (*norm.parameters(), *(norm.buffers())):
        if values.is_floating_point():
            values.data.uniform_(0.5, 2)
    return norm.eval()


@pytest.mark.parametrize(
    ('norm', 'kind'),
    [
        (lambda: nn.GroupNorm(2, 4), PlainGroupNorm),
        (lambda: nn.BatchNorm2d(4, eps=0.1), PlainBatchNorm),
        (lambda: nn.SyncBatchNorm(4, affine=False), PlainBatchNorm),
    ],
)
@torch.no_grad()
def test_norms_of_rois_are_traced_for_any_number_and_keep_their_numbers(norm, kind):
    detector, maps = Detector(settled(norm())), torch.randn(5, 4, 3, 3)
    expected = detector(maps, torch.tensor([1.0, -1, 1, 1, -1]))
    use_plain_layers(detector)
    assert type(detector.roi_head[0]) is kind and type(detector.neck[0]) is nn.GroupNorm
    torch.testing.assert_close(detector(maps, torch.tensor([1.0, -1, 1, 1, -1])), expected)
    if requirements.torch_release() < requirements.LEAST_TORCH:
        return  # the exporter needs a newer torch
    program = torch.export.export(detector, (maps, torch.ones(5)), strict=False).module()
    torch.testing.assert_close(program(maps, torch.tensor([1.0, -1, 1, 1, -1])), expected)
    assert program(maps, -torch.ones(5)).shape == (0, 4, 3, 3)


@pytest.mark.parametrize('limit', [-1, 2, 9])
def test_best_rows_in_a_graph_are_those_of_the_detector(limit):
    values = torch.tensor([0.5, 3.0, 1.0, 2.0])
    expected = values[best_rows(values, limit)]
    with replaced(IN_GRAPH):
        found = values[best_rows(values, limit)]
    torch.testing.assert_close(found.sort().values, expected.sort().values)
    assert expected.tolist() == ([3.0, 2.0] if limit == 2 else values.tolist())
