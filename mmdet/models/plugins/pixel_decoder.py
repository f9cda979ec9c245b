"""Pixel decoders of MaskFormer (https://arxiv.org/abs/2107.06278): from the backbone's maps to the features of masks.

N: images; C: ``feat_channels``; L: feature maps, the finest first; S: cells of the coarsest one.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import PLUGIN_LAYERS, ConvModule, caffe2_xavier_init
from mmcv.cnn.bricks.transformer import build_positional_encoding, build_transformer_layer_sequence
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.utils.padding_mask import padding_mask
from mmdet.utils.registry import require

# Default arguments; every builder copies them.
GROUP_NORM = dict(type='GN', num_groups=32)
RELU = dict(type='ReLU')
POSITIONAL_ENCODING = dict(type='SinePositionalEncoding', num_feats=128, normalize=True)


def add_finer_maps(
    coarse: Tensor, feats: Sequence[Tensor], laterals: Sequence[nn.Module], outputs: Sequence[nn.Module], mode: str
) -> list[Tensor]:
    """Go down a feature pyramid.

    Args:
        coarse: (N, C, h, w) what to begin with.
        feats: maps (N, C_l, H_l, W_l), the finest first, each finer than ``coarse``.
        laterals, outputs: for each of them the layer before and the layer after the sum with what is coarser.
        mode: how a map is enlarged, as of ``torch.nn.functional.interpolate``.

    Returns:
        Maps (N, C, H_l, W_l), the coarsest first.
    """
    results = []
    for feat, lateral, output in reversed(list(zip(feats, laterals, outputs))):
        finer = lateral(feat)
        coarse = output(finer + F.interpolate(coarse, size=finer.shape[-2:], mode=mode))
        results.append(coarse)
    return results


def check_positions(positional_encoding: dict, channels: int, name: str) -> None:
    """Raise ValueError where an encoding does not have as many features as the encoder has channels."""
    num_feats = positional_encoding['num_feats']
    if num_feats * 2 != channels:
        raise ValueError(
            f'{name}: positional_encoding.num_feats must be half of the {channels} channels, got {num_feats}'
        )


@PLUGIN_LAYERS.register_module()
class PixelDecoder(BaseModule):
    """A feature pyramid whose finest map becomes the features of masks.

    Args:
        in_channels: channels of the L maps, the finest first.
        feat_channels: channels inside, C.
        out_channels: channels of the mask features.
        norm_cfg: normalisation; None: none, and the convolutions have a bias.
        act_cfg: activation.
        init_cfg: initialisation; without it, that of :meth:`init_weights`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        feat_channels: int,
        out_channels: int,
        norm_cfg: dict | None = GROUP_NORM,
        act_cfg: dict | None = RELU,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.num_inputs = len(in_channels)
        self.use_bias = norm_cfg is None
        conv: dict[str, Any] = dict(bias=self.use_bias, norm_cfg=norm_cfg)
        self.lateral_convs = ModuleList(
            ConvModule(channels, feat_channels, 1, act_cfg=None, **conv) for channels in in_channels[:-1]
        )
        conv.update(padding=1, act_cfg=act_cfg)
        self.output_convs = ModuleList(ConvModule(feat_channels, feat_channels, 3, **conv) for _ in in_channels[:-1])
        self.last_feat_conv: nn.Module | None = ConvModule(in_channels[-1], feat_channels, 3, **conv)
        self.mask_feature = nn.Conv2d(feat_channels, out_channels, 3, padding=1)

    def init_weights(self) -> None:
        """Xavier weights (uniform, by the number of inputs) for all convolutions of the pyramid."""
        super().init_weights()
        layers = [*self.lateral_convs, *self.output_convs]
        layers += [] if self.last_feat_conv is None else [self.last_feat_conv]
        for conv in [*(layer.conv for layer in layers), self.mask_feature]:
            caffe2_xavier_init(conv, bias=0)

    def _mask_features(self, coarse: Tensor, feats: Sequence[Tensor]) -> Tensor:
        """(N, C, h, w) at the size of the coarsest of L maps -> (N, out_channels, H_0, W_0)."""
        maps = add_finer_maps(coarse, feats[:-1], self.lateral_convs, self.output_convs, 'nearest')
        return self.mask_feature(maps[-1] if maps else coarse)

    def forward(self, feats: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor]:
        """Mask features and what the queries look at.

        Args:
            feats: L maps (N, in_channels, H, W).
            img_metas: not used.

        Returns:
            (N, out_channels, H_0, W_0) at the size of the finest map, and the coarsest map as it came.
        """
        coarse = feats[-1] if self.last_feat_conv is None else self.last_feat_conv(feats[-1])
        return self._mask_features(coarse, feats), feats[-1]


@PLUGIN_LAYERS.register_module()
class TransformerEncoderPixelDecoder(PixelDecoder):
    """:class:`PixelDecoder` whose coarsest map goes through the encoder of a transformer first.

    Args:
        in_channels, feat_channels, out_channels, norm_cfg, act_cfg, init_cfg: see :class:`PixelDecoder`.
        encoder: config of the encoder, of ``feat_channels`` channels.
        positional_encoding: encoding of where a cell stands; half as many features as the encoder has channels.

    Raises:
        ValueError: the channels do not fit.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        feat_channels: int,
        out_channels: int,
        norm_cfg: dict | None = GROUP_NORM,
        act_cfg: dict | None = RELU,
        encoder: dict | None = None,
        positional_encoding: dict = POSITIONAL_ENCODING,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        require(self, encoder=encoder)
        super().__init__(in_channels, feat_channels, out_channels, norm_cfg, act_cfg, init_cfg)
        self.last_feat_conv = None  # the encoder takes its place
        self.encoder = build_transformer_layer_sequence(encoder)
        self.encoder_embed_dims = self.encoder.embed_dims
        if self.encoder_embed_dims != feat_channels:
            raise ValueError(
                f'{type(self).__name__}: the encoder must have feat_channels={feat_channels} channels, '
                f'got {self.encoder_embed_dims}'
            )
        positions = build_positional_encoding(positional_encoding)
        check_positions(positional_encoding, feat_channels, type(self).__name__)
        self.positional_encoding = positions
        self.encoder_in_proj = nn.Conv2d(in_channels[-1], feat_channels, 1)
        self.encoder_out_proj = ConvModule(
            feat_channels, feat_channels, 3, padding=1, bias=self.use_bias, norm_cfg=norm_cfg, act_cfg=act_cfg
        )

    def init_weights(self) -> None:
        """As of :class:`PixelDecoder`; Xavier uniform weights for all matrices of the encoder."""
        super().init_weights()
        for conv in (self.encoder_in_proj, self.encoder_out_proj.conv):
            caffe2_xavier_init(conv, bias=0)
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, feats: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor]:
        """Mask features and what the queries look at.

        Args:
            feats: L maps (N, in_channels, H, W).
            img_metas: has ``img_shape`` and ``batch_input_shape`` of each image; the encoder does not look at padding.

        Returns:
            (N, out_channels, H_0, W_0) at the size of the finest map, and (N, C, h, w) the encoded coarsest map.
        """
        x = self.encoder_in_proj(feats[-1])
        mask = padding_mask(img_metas, x.shape[-2:], x.device)
        memory = self.encoder(
            query=x.flatten(2).permute(2, 0, 1),  # (N, C, h, w) -> (S, N, C)
            key=None,
            value=None,
            query_pos=self.positional_encoding(mask).flatten(2).permute(2, 0, 1),
            query_key_padding_mask=mask.flatten(1),
        )
        memory = memory.permute(1, 2, 0).reshape(x.shape)
        return self._mask_features(self.encoder_out_proj(memory), feats), memory
