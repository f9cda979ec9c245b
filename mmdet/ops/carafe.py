"""Upsampling by kernels that are predicted for each place, CARAFE (https://arxiv.org/abs/1905.02188)."""

import torch
import torch.nn.functional as F
from mmcv.cnn import normal_init, xavier_init
from mmcv.cnn.bricks.registry import UPSAMPLE_LAYERS
from torch import Tensor, nn

from mmdet.ops.compiled import mmcv_class, register_layer

ENCODER_STD = 0.001  # of the first weights of the kernel predictor: upsampling starts as a plain mean over the kernel


def carafe(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """Each output cell is a weighted sum of the ``kernel_size`` x ``kernel_size`` input cells around its own.

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * kernel_size ** 2, scale_factor * H, scale_factor * W), the weights, row by row within
            a group; cells outside of the input count as 0.
        kernel_size: odd.
        group_size: groups of channels with their own weights.
        scale_factor: whole number >= 1.

    Returns:
        (N, C, scale_factor * H, scale_factor * W) in the dtype of ``features``; computed in float32 at least.

    Raises:
        ValueError: an even kernel, channels that cannot be grouped, or masks of another shape.
    """
    _check_carafe(features, masks, kernel_size, group_size, scale_factor)
    dtype = torch.float64 if features.dtype == torch.float64 else torch.float32
    n, c, h, w = features.shape
    reach = kernel_size // 2
    padded = F.pad(features.to(dtype), [reach] * 4).view(n, group_size, c // group_size, h + 2 * reach, w + 2 * reach)
    weights = masks.to(dtype).view(n, group_size, kernel_size**2, 1, h, scale_factor, w, scale_factor)
    out = padded.new_zeros(n, group_size, c // group_size, h, scale_factor, w, scale_factor)
    # a loop over kernel cells: all of them at once would take kernel_size ** 2 times the memory, here autograd keeps
    # views of the two inputs alone
    for cell in range(kernel_size**2):
        y, x = divmod(cell, kernel_size)
        shifted = padded[..., y : y + h, x : x + w]
        out = torch.addcmul(out, shifted[..., :, None, :, None], weights[:, :, cell])
    return out.reshape(n, c, h * scale_factor, w * scale_factor).to(features.dtype)


def _check_carafe(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> None:
    if kernel_size < 1 or kernel_size % 2 == 0 or scale_factor < 1:
        raise ValueError(
            f'carafe: kernel_size must be odd and scale_factor a whole number >= 1, got {kernel_size}, {scale_factor}'
        )
    if features.ndim != 4 or features.size(1) % group_size:
        raise ValueError(
            f'carafe: expected features (N, C, H, W) with C a multiple of group_size={group_size}, '
            f'got {tuple(features.shape)}'
        )
    n, _, h, w = features.shape
    expected = (n, group_size * kernel_size**2, h * scale_factor, w * scale_factor)
    if masks.shape != expected:
        raise ValueError(f'carafe: expected masks {expected}, got {tuple(masks.shape)}')


def predicted_kernels(encoded: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """Raw kernels of each input cell -> normalised kernels of each output cell.

    Args:
        encoded: (N, group_size * kernel_size ** 2 * scale_factor ** 2, H, W).
        kernel_size, group_size, scale_factor: as of :func:`carafe`.

    Returns:
        (N, group_size * kernel_size ** 2, scale_factor * H, scale_factor * W); the weights of a kernel are positive
        and sum to 1.
    """
    masks = encoded.unflatten(1, (group_size, kernel_size**2, scale_factor, scale_factor)).softmax(dim=2)
    # F.pixel_shuffle would do this, but has no backward pass for a batch without images
    masks = masks.permute(0, 1, 2, 5, 3, 6, 4)  # (N, groups, cells, H, scale, W, scale)
    return masks.flatten(5, 6).flatten(3, 4).flatten(1, 2)


class CARAFE(mmcv_class('CARAFE')):
    """:func:`carafe` as a layer."""

    def __init__(self, kernel_size: int, group_size: int, scale_factor: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.group_size = group_size
        self.scale_factor = scale_factor

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """(N, C, H, W) and masks, see :func:`carafe` -> (N, C, scale_factor * H, scale_factor * W)."""
        return carafe(features, masks, self.kernel_size, self.group_size, self.scale_factor)


class CARAFEPack(mmcv_class('CARAFEPack')):
    """:func:`carafe` with kernels that it predicts itself (``type='carafe'`` in an ``upsample_cfg``).

    Args:
        channels: channels of the input and the output.
        scale_factor: factor on height and width.
        up_kernel: size of the upsampling kernels. Default: 5.
        up_group: groups of channels with their own kernels. Default: 1.
        encoder_kernel: size of the convolution that predicts kernels. Default: 3.
        encoder_dilation: its dilation. Default: 1.
        compressed_channels: channels that it sees. Default: 64.
    """

    def __init__(
        self,
        channels: int,
        scale_factor: int,
        up_kernel: int = 5,
        up_group: int = 1,
        encoder_kernel: int = 3,
        encoder_dilation: int = 1,
        compressed_channels: int = 64,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.scale_factor = scale_factor
        self.up_kernel = up_kernel
        self.up_group = up_group
        self.encoder_kernel = encoder_kernel
        self.encoder_dilation = encoder_dilation
        self.compressed_channels = compressed_channels
        self.channel_compressor = nn.Conv2d(channels, compressed_channels, 1)
        self.content_encoder = nn.Conv2d(
            compressed_channels,
            up_group * up_kernel**2 * scale_factor**2,
            encoder_kernel,
            padding=(encoder_kernel - 1) * encoder_dilation // 2,
            dilation=encoder_dilation,
        )
        self.init_weights()

    def init_weights(self) -> None:
        """Xavier for the compression; nearly equal kernels."""
        xavier_init(self.channel_compressor, distribution='uniform')
        normal_init(self.content_encoder, std=ENCODER_STD)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, channels, scale_factor * H, scale_factor * W)."""
        encoded = self.content_encoder(self.channel_compressor(x))
        masks = predicted_kernels(encoded, self.up_kernel, self.up_group, self.scale_factor)
        return carafe(x, masks, self.up_kernel, self.up_group, self.scale_factor)


register_layer(UPSAMPLE_LAYERS, 'carafe', CARAFEPack)
