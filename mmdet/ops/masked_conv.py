"""Convolution at chosen places of a map only (Guided Anchoring, https://arxiv.org/abs/1901.03278, section 3.3)."""

import torch
from mmcv.cnn.bricks.registry import CONV_LAYERS
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair

from mmdet.ops.compiled import mmcv_class, register_layer

# Places whose patches are in memory at once: 4096 patches of 3x3 cells and 256 channels are 38 MB in float32.
PLACES_AT_ONCE = 4096


def masked_conv2d(
    features: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """Convolution that is computed only where ``mask`` is true; everywhere else the result is 0.

    The patches of the chosen places are gathered and multiplied with the kernel, so that time and memory grow with
    their number and not with the size of the map. Finding them makes a GPU wait.

    Args:
        features: (N, C_in, H, W).
        mask: (N, H_out, W_out) bool, or numbers of which those above 0 count.
        weight: (C_out, C_in, kh, kw).
        bias: (C_out,).
        stride: as in a plain convolution.
        padding: as in a plain convolution, of zeros.
        dilation: as in a plain convolution.

    Returns:
        (N, C_out, H_out, W_out).

    Raises:
        ValueError: the channels do not fit, or the mask has not the shape of the result.
    """
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    size = output_size(features.shape[-2:], weight.shape[-2:], stride, padding, dilation)
    check_shapes(features, mask, weight, size)
    images, rows, columns = (mask > 0).nonzero(as_tuple=True)
    padded = functional.pad(features, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    down, right = (
        torch.arange(length, device=features.device) * step for length, step in zip(weight.shape[-2:], dilation)
    )
    kernel = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (kh * kw * C_in, C_out)
    values = [features.new_zeros(0, weight.size(0))]
    for part in zip(*(index.split(PLACES_AT_ONCE) for index in (images, rows * stride[0], columns * stride[1]))):
        image, top, left = (index[:, None, None] for index in part)
        patches = padded[image, top + down[:, None], left + right].flatten(1)
        values.append(patches @ kernel if bias is None else torch.addmm(bias, patches, kernel))
    values = torch.cat(values)
    out = values.new_zeros(len(features), *size, weight.size(0)).index_put((images, rows, columns), values)
    return out.permute(0, 3, 1, 2)


def output_size(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int]:
    """Height and width of what a convolution makes of a map of ``size``."""
    numbers = zip(size, kernel, stride, padding, dilation)
    height, width = ((length + 2 * pad - dil * (k - 1) - 1) // step + 1 for length, k, step, pad, dil in numbers)
    return height, width


def check_shapes(features: Tensor, mask: Tensor, weight: Tensor, size: tuple[int, int]) -> None:
    """Check what :func:`masked_conv2d` is called with.

    Raises:
        ValueError: see there.
    """
    if features.ndim != 4 or features.size(1) != weight.size(1):
        raise ValueError(
            f'masked_conv2d: expected features (N, {weight.size(1)}, H, W) for weight {tuple(weight.shape)}; '
            f'got {tuple(features.shape)}'
        )
    if mask.shape != (len(features), *size):
        raise ValueError(f'masked_conv2d: expected a mask {(len(features), *size)}, got {tuple(mask.shape)}')


class MaskedConv2d(mmcv_class('MaskedConv2d', nn.Conv2d)):
    """``nn.Conv2d``, with the same parameters and checkpoint keys, whose ``forward`` takes a mask of places.

    In evaluation only these places are computed; in training, or with groups of channels, the whole map is, and
    multiplied with the mask. Both give the same numbers.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features (N, C_in, H, W) -> (N, C_out, H_out, W_out), 0 outside of the mask.

        Args:
            x: features.
            mask: (N, H_out, W_out), see :func:`masked_conv2d`; None: everywhere.
        """
        if mask is None:
            return super().forward(x)
        if self.training or self.groups != 1 or self.padding_mode != 'zeros' or isinstance(self.padding, str):
            out = super().forward(x)
            return out * (mask > 0).to(out.dtype)[:, None]
        return masked_conv2d(x, mask, self.weight, self.bias, self.stride, self.padding, self.dilation)


register_layer(CONV_LAYERS, 'MaskedConv2d', MaskedConv2d)
