import torch

from mmdet.models.dense_heads.functional.assignment.task_alignment import (
    TaskDecomposition,
    keep_valid_boxes,
    normalised_alignment,
    sample_channels,
)


def test_alignments_are_scaled_to_each_objects_greatest_iou():
    got = normalised_alignment(
        torch.tensor([0.2, 0.1, 0.4]), torch.tensor([0.5, 0.8, 0.6]), torch.tensor([0, 0, 2]), num_gts=3
    )
    torch.testing.assert_close(got, torch.tensor([0.8, 0.4, 0.6]), rtol=1e-5, atol=1e-6)
    assert normalised_alignment(*[torch.zeros(0)] * 2, torch.zeros(0, dtype=torch.long), 0).shape == (0,)


def test_channels_are_read_at_their_own_offsets():
    feat = torch.arange(18.0).view(1, 2, 3, 3)
    offset = torch.zeros(1, 4, 3, 3)
    offset[:, 0], offset[:, 3] = 1, 0.5  # the first channel a row further down, the second half a column to the right
    got = sample_channels(feat, offset)
    assert got[0, 0, :2].equal(feat[0, 0, 1:]) and not got[0, 0, 2].any()
    assert got[0, 1, :, 0].tolist() == [9.5, 12.5, 15.5]


def test_crossed_boxes_give_way():
    boxes, others = torch.tensor([[5.0, 0, 1, 4], [0, 0, 1, 4]]).T[None, :, None], torch.zeros(1, 4, 1, 2)
    assert keep_valid_boxes(boxes, others)[0, :, 0].T.tolist() == [[0, 0, 0, 0], [0, 0, 1, 4]]


def test_task_decomposition_weighs_the_features_of_each_layer():
    module = TaskDecomposition(8, 2, la_down_rate=8)
    torch.manual_seed(0)
    feat = torch.randn(2, 16, 3, 3)
    of_layer = module.layer_attention(feat.mean((2, 3), keepdim=True)).repeat_interleave(8, dim=1)
    conv = module.reduction_conv.conv
    want = torch.nn.functional.conv2d(feat * of_layer, conv.weight, conv.bias).relu()
    torch.testing.assert_close(module(feat), want, rtol=1e-5, atol=1e-5)
