"""Maps of known values and square RoIs, for the tests of both extractors."""

import torch

from mmdet.models.builder import build_roi_extractor

LAYER = dict(type='RoIAlign', output_size=(2, 3), sampling_ratio=2)


def single(**kwargs):
    return build_roi_extractor(
        dict(type='SingleRoIExtractor', roi_layer=LAYER, out_channels=5, featmap_strides=[4, 8, 16], **kwargs)
    )


def generic(**kwargs):
    settings = dict(type='GenericRoIExtractor', roi_layer=LAYER, out_channels=5, featmap_strides=[4, 8, 16])
    return build_roi_extractor({**settings, **kwargs})


def constant_maps():
    """Level i holds 10 ** i everywhere."""
    return [torch.full((2, 5, 256 // s, 256 // s), 10.0**i, requires_grad=True) for i, s in enumerate((4, 8, 16))]


def square_rois(*sides):
    return torch.tensor([[i % 2, 0.0, 0.0, side, side] for i, side in enumerate(sides)])
