"""Resizing, normalisation and padding of a test pipeline as a part of an exported file."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmdet.apis.export.graph import DetectorGraph, ExportError

COLOURS = ('bgr', 'rgb')
# steps of a test pipeline that have a form in a graph, or nothing to do there
KNOWN_STEPS = (
    *('LoadImageFromFile', 'LoadImageFromWebcam', 'MultiScaleFlipAug', 'Resize', 'RandomFlip', 'Normalize', 'Pad'),
    *('ImageToTensor', 'DefaultFormatBundle', 'Collect'),
)


class Preprocessing(NamedTuple):
    """What a test pipeline does to an image.

    Attributes:
        scale: two sides px that an image is resized to, as ``Resize`` reads them: the longer one bounds the longer side
            of the image; width and height where the ratio is not kept.
        keep_ratio: keep the ratio of the image's sides.
        size_divisor: of the padded sides.
        mean, std: of the normalisation, for each channel as it comes out.
        to_rgb: the network takes RGB.
        fill: values of the padding, for each channel.
    """

    scale: tuple[int, int]
    keep_ratio: bool
    size_divisor: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool
    fill: tuple[float, ...]

    def canvas(self) -> tuple[int, int]:
        """Height and width px of the padded input for images that are wider than high."""
        width, height = (max(self.scale), min(self.scale)) if self.keep_ratio else self.scale
        return -(-height // self.size_divisor) * self.size_divisor, -(-width // self.size_divisor) * self.size_divisor


def read_preprocessing(steps: Sequence[Mapping[str, Any]]) -> Preprocessing:
    """What the steps of a test pipeline, the inner ones among them, do.

    Raises:
        ExportError: a step has no form in a graph; it is named.
    """
    by_kind: dict[str, Mapping[str, Any]] = {}
    for step in steps:
        if step['type'] not in KNOWN_STEPS:
            raise ExportError(
                f'preprocessing: the step {step["type"]} of the test pipeline has no form in a graph; those that have '
                f'are {", ".join(KNOWN_STEPS)}'
            )
        by_kind.setdefault(step['type'], step)
    resize, pad, norm = (by_kind.get(kind, {}) for kind in ('Resize', 'Pad', 'Normalize'))
    scale = by_kind.get('MultiScaleFlipAug', {}).get('img_scale') or resize.get('img_scale')
    if not (isinstance(scale, Sequence) and len(scale) == 2 and all(isinstance(side, int) for side in scale)):
        raise ExportError(f'preprocessing: expected one img_scale of two sides in the test pipeline, got {scale!r}')
    if resize.get('interpolation', 'bilinear') != 'bilinear':
        raise ExportError(f'preprocessing: Resize with interpolation {resize["interpolation"]!r}: expected bilinear')
    if pad.get('size') or pad.get('pad_to_square'):
        raise ExportError('preprocessing: Pad by a size or to a square: expected size_divisor; give the size by --size')
    mean, std = (tuple(map(float, norm.get(key, default))) for key, default in (('mean', [0] * 3), ('std', [1] * 3)))
    value = pad.get('pad_val', 0)
    value = value.get('img', 0) if isinstance(value, Mapping) else value
    fill = tuple(map(float, value if isinstance(value, Sequence) else [value] * 3))
    order = list(by_kind)
    if norm and pad and order.index('Pad') < order.index('Normalize'):
        fill = tuple((colour - m) / s for colour, m, s in zip(fill, mean, std))
    divisor, keep = pad.get('size_divisor') or 1, resize.get('keep_ratio', True)
    return Preprocessing(tuple(scale), keep, divisor, mean, std, bool(norm) and norm.get('to_rgb', True), fill)


class ImageInput(nn.Module):
    """A detector that takes images as they were read, and gives boxes in their pixels.

    Args:
        graph: the detector that takes normalised images.
        steps: what its test pipeline does.
        canvas: height and width px of the input of the network, in which each image is fitted.
        colour: order of the channels that it is fed, one of :data:`COLOURS`.

    Raises:
        ExportError: another colour.
    """

    sides = {1: 'height', 2: 'width'}

    def __init__(self, graph: DetectorGraph, steps: Preprocessing, canvas: tuple[int, int], colour: str) -> None:
        super().__init__()
        if colour not in COLOURS:
            raise ExportError(f'preprocessing: expected one of {", ".join(COLOURS)}, got {colour!r}')
        self.network = graph  # not "graph", which is a program's own
        self.steps, self.canvas = steps, canvas
        self.swap_channels = steps.to_rgb != (colour == 'rgb')
        self.names = (*graph.names, 'sizes')

    @property
    def detector(self) -> nn.Module:
        """The detector itself."""
        return self.network.detector

    def example(self, batch_size: int, size: tuple[int, int], device: torch.device) -> dict[str, Tensor]:
        """Images of zeros, the argument of ``forward``."""
        return dict(images=torch.zeros(batch_size, *size, 3, dtype=torch.uint8, device=device))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Results of images of one size.

        Args:
            images: (N, H, W, 3) uint8.

        Returns:
            as :meth:`DetectorGraph.forward`, boxes in px of ``images``; then ``sizes`` (N, 2), the part of the canvas
            that an image takes, which masks of the canvas are to be cut to.
        """
        height, width = images.shape[1:3]
        sides = torch.cat([torch.scalar_tensor(side, dtype=torch.float64).view(1) for side in (height, width)])
        size = fitted_size(sides, self.steps, self.canvas)
        sizes = size.expand(images.size(0), 2)
        dets, *others = self.network(self.normalised(images, size), sizes)
        factors = (size / sides).flip(0).to(dets.dtype)
        boxes = dets[..., :4] / factors.repeat(2)
        return (torch.cat([boxes, dets[..., 4:]], dim=-1), *others, sizes)

    def normalised(self, images: Tensor, size: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 -> (N, 3, h, w) on the canvas, an image in its upper left ``size`` (2,)."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        if self.swap_channels:
            pixels = pixels.flip(1)
        axes, inside = [], []
        for side, length in zip(size, self.canvas):
            cells = torch.arange(length, device=images.device)
            axes.append((2 * cells + 1).to(torch.float32) / side.to(torch.float32) - 1)  # in [-1, 1] on the image
            inside.append(cells < side)
        grid = torch.stack(torch.broadcast_tensors(axes[1][None, :], axes[0][:, None]), dim=-1)
        resized = functional.grid_sample(
            pixels, grid.expand(images.size(0), -1, -1, -1), 'bilinear', 'border', align_corners=False
        )
        channels = self.steps.mean, self.steps.std, self.steps.fill
        mean, std, fill = (pixels.new_tensor(part).view(1, 3, 1, 1) for part in channels)
        # the pipeline's images are of whole numbers after their resizing too
        return torch.where(inside[0][:, None] & inside[1][None, :], (resized.round() - mean) / std, fill)


def fitted_size(sides: Tensor, steps: Preprocessing, canvas: tuple[int, int]) -> Tensor:
    """Height and width (2,) int64 px of an image of ``sides`` (2,) float64 px after the resizing."""
    largest = sides.new_tensor(canvas)
    if not steps.keep_ratio:
        return torch.minimum(sides.new_tensor(steps.scale).flip(0), largest).to(torch.int64)
    factors = (max(steps.scale) / sides.max(), min(steps.scale) / sides.min(), *(largest / sides).unbind())
    return (sides * torch.stack(factors).min() + 0.5).floor().to(torch.int64).clamp(min=1)


__all__ = ['COLOURS', 'ImageInput', 'Preprocessing', 'fitted_size', 'read_preprocessing']
