"""What the student sees: the batch with stronger changes of colour, and holes; the geometry stays."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta

GREY = (0.299, 0.587, 0.114)  # of red, green and blue
PLAIN: dict[str, Any] = dict(mean=(0, 0, 0), std=(1, 1, 1), to_rgb=False)  # of images as they are in files


class StudentView:
    """Change images of a batch on its device, each with numbers of its own, drawn from torch's generator of the CPU.

    Args:
        brightness, contrast, saturation: factors are drawn from 1 minus to 1 plus this; 0: unchanged.
        grey: chance of an image without colours.
        blur: chance of a blur.
        holes: number of rectangles that are cut out, at most.
        hole_size: largest side of one, as a fraction of the image's.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        grey: float = 0.2,
        blur: float = 0.3,
        holes: int = 3,
        hole_size: float = 0.2,
    ) -> None:
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.grey = grey
        self.blur = blur
        self.holes = holes
        self.hole_size = hole_size

    def __call__(self, images: Tensor, img_metas: Sequence[ImgMeta], chosen: Sequence[bool]) -> Tensor:
        """A new batch (N, 3, H, W) in which the chosen images are changed.

        Float images are taken as normalised by ``img_norm_cfg`` of their meta information, uint8 as they are in files;
        padding stays as it is.
        """
        # the teacher reads the batch as it came
        out = images.clone()
        for i, meta in enumerate(img_metas):
            if chosen[i]:
                height, width = meta['img_shape'][:2]
                out[i, :, :height, :width] = self._change(images[i, :, :height, :width], meta)
        return out

    def _change(self, image: Tensor, meta: ImgMeta) -> Tensor:
        """One image (3, h, w)."""
        whole = image.dtype == torch.uint8
        norm = meta.get('img_norm_cfg', PLAIN)
        mean, std = (
            torch.as_tensor([float(v) for v in values], device=image.device)[:, None, None]
            for values in ((PLAIN if whole else norm)[key] for key in ('mean', 'std'))
        )
        pixels = (image.float() * std + mean) / 255
        # files hold blue first, as OpenCV reads them, until they are normalised
        bgr = whole or not norm.get('to_rgb', True)
        changed = (self._cut_out(self._photometric(pixels, bgr)) * 255 - mean) / std
        return (changed.round() if whole else changed).to(image.dtype)

    def _photometric(self, pixels: Tensor, bgr: bool) -> Tensor:
        """(3, h, w) in [0, 1]."""
        draws = (2 * torch.rand(3) - 1).tolist()
        of_grey, of_blur, sigma = torch.rand(3).tolist()
        grey = pixels.new_tensor(GREY[::-1] if bgr else GREY)[:, None, None]
        pixels = pixels * (1 + self.brightness * draws[0])
        # contrast is around the image's own grey: with that of the whole range a dark image would also change its
        # brightness
        middle = (pixels * grey).sum(0).mean()
        pixels = (pixels - middle) * (1 + self.contrast * draws[1]) + middle
        without = (pixels * grey).sum(0, keepdim=True)
        saturation = 0.0 if of_grey < self.grey else 1 + self.saturation * draws[2]
        pixels = (pixels - without) * saturation + without
        if of_blur < self.blur:
            pixels = blurred(pixels, 0.5 + 1.5 * sigma)
        return pixels.clamp(0, 1)

    def _cut_out(self, pixels: Tensor) -> Tensor:
        """(3, h, w) with rectangles of one random colour."""
        height, width = pixels.shape[-2:]
        for _ in range(int(torch.randint(self.holes + 1, ()))):
            side_y, side_x, y, x, *colour = torch.rand(7).tolist()
            size_y = max(int(side_y * self.hole_size * height), 1)
            size_x = max(int(side_x * self.hole_size * width), 1)
            top, left = int(y * (height - size_y)), int(x * (width - size_x))
            pixels[:, top : top + size_y, left : left + size_x] = pixels.new_tensor(colour)[:, None, None]
        return pixels

    def __repr__(self) -> str:
        fields: dict[str, Any] = vars(self)
        return f'{type(self).__name__}({", ".join(f"{name}={value}" for name, value in fields.items())})'


def blurred(pixels: Tensor, sigma: float) -> Tensor:
    """(3, h, w) under a Gaussian of that deviation, px; the border is repeated."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1, device=pixels.device, dtype=pixels.dtype)
    kernel = (-(steps**2) / (2 * sigma**2)).exp()
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = functional.pad(pixels[:, None], (radius,) * 4, mode='replicate')
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.transpose(2, 3))[:, 0]
