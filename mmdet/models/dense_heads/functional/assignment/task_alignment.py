"""What the task-aligned head is made of: layers that split features by task, and the arithmetic of its targets."""

from typing import Any

import torch
from mmcv.cnn import ConvModule, normal_init
from torch import Tensor, nn

from mmdet.core.bbox.transforms import distance2bbox
from mmdet.ops import deform_conv2d


class TaskDecomposition(nn.Module):
    """A 1x1 convolution over the features of all layers, in which an image's own weights count for each layer.

    Args:
        feat_channels: channels of each layer's features and of the result.
        stacked_convs: number of layers.
        la_down_rate: the layers' weights are computed from so many times fewer channels than there are.
        conv_cfg: kind of convolution; None: ``Conv2d``.
        norm_cfg: normalisation after it; None: none.
    """

    def __init__(
        self,
        feat_channels: int,
        stacked_convs: int,
        la_down_rate: int = 8,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.in_channels = feat_channels * stacked_convs
        self.norm_cfg = norm_cfg
        hidden = self.in_channels // la_down_rate
        self.layer_attention = nn.Sequential(
            nn.Conv2d(self.in_channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, stacked_convs, 1),
            nn.Sigmoid(),
        )
        self.reduction_conv = ConvModule(
            self.in_channels, feat_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, bias=norm_cfg is None
        )

    def init_weights(self) -> None:
        """Small normal weights."""
        for layer in self.layer_attention:
            if isinstance(layer, nn.Conv2d):
                normal_init(layer, std=0.001)
        normal_init(self.reduction_conv.conv, std=0.01)

    def forward(self, feat: Tensor, avg_feat: Tensor | None = None) -> Tensor:
        """Features of all layers (N, layers * channels, H, W) and their averages (N, ..., 1, 1) -> (N, channels, H, W).

        Without ``avg_feat`` the averages are computed.
        """
        avg_feat = feat.mean(dim=(2, 3), keepdim=True) if avg_feat is None else avg_feat
        of_layer = self.layer_attention(avg_feat).reshape(len(feat), 1, self.stacked_convs, 1)
        conv = self.reduction_conv.conv
        # an image's attention to a layer scales that layer's part of the kernel: the features themselves, many times
        # larger, need no copy
        weight = conv.weight.reshape(1, self.feat_channels, self.stacked_convs, self.feat_channels) * of_layer
        out = torch.bmm(weight.flatten(2), feat.flatten(2)).unflatten(2, feat.shape[-2:])
        if self.norm_cfg is not None:
            out = self.reduction_conv.norm(out)
        else:
            out = out + conv.bias.view(-1, 1, 1)
        return self.reduction_conv.activate(out)


def adjustment_layers(in_channels: int, hidden: int, width: int) -> nn.Sequential:
    """From the features of all layers to ``width`` numbers a cell that adjust a prediction."""
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, width, 3, padding=1)
    )


def boxes_in_strides(predicted: Tensor, priors: Tensor, stride: float, coder: Any = None) -> Tensor:
    """Boxes of one level, (N, 4, H, W) xyxy in strides.

    Args:
        predicted: (N, 4, H, W); without a coder distances in strides from points to the sides, else its deltas.
        priors: in pixels, (H * W, 2) points without a coder, else (H * W, 4) anchors.
        stride: pixels of a cell.
        coder: between anchors and boxes; None: there is none.
    """
    rows = predicted.permute(0, 2, 3, 1).flatten(1, 2)
    if coder is None:
        boxes = distance2bbox(priors / stride, rows)
    else:
        # coders take as many priors as deltas
        all_priors = priors.expand(len(rows), -1, -1).flatten(0, 1)
        boxes = coder.decode(all_priors, rows.flatten(0, 1)).view_as(rows) / stride
    return boxes.unflatten(1, predicted.shape[-2:]).permute(0, 3, 1, 2).contiguous()


def sample_channels(feat: Tensor, offset: Tensor) -> Tensor:
    """Each channel read bilinearly at its own offset from each cell.

    Args:
        feat: (N, C, H, W).
        offset: (N, 2 * C, H, W) cells, y before x.

    Returns:
        (N, C, H, W), zero outside the map.
    """
    channels = feat.size(1)
    # a deformable convolution of one cell, each channel a group of its own, with kernels of 1
    return deform_conv2d(feat, offset, feat.new_ones(channels, 1, 1, 1), groups=channels, deform_groups=channels)


def keep_valid_boxes(boxes: Tensor, others: Tensor) -> Tensor:
    """Boxes (N, 4, H, W), but those of ``others`` where a box has no area because its sides crossed."""
    crossed = (boxes[:, :2] > boxes[:, 2:]).any(dim=1, keepdim=True)
    return torch.where(crossed, others, boxes)


def normalised_alignment(metrics: Tensor, ious: Tensor, gt_inds: Tensor, num_gts: int) -> Tensor:
    """Alignments of positives, scaled so that each object's greatest is its greatest IoU.

    Args:
        metrics: (P,) alignment of each positive.
        ious: (P,) IoU of its predicted box with its object.
        gt_inds: (P,) its object.
        num_gts: G.

    Returns:
        (P,).
    """
    zeros = metrics.new_zeros(num_gts)
    best = zeros.scatter_reduce(0, gt_inds, metrics, 'amax')
    best_iou = zeros.scatter_reduce(0, gt_inds, ious, 'amax')
    # relative to the object's best, so that objects which nothing fits well yet teach as much as others
    return metrics / (best + 1e-7)[gt_inds] * best_iou[gt_inds]
