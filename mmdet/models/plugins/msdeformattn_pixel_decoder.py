"""The pixel decoder of Mask2Former (https://arxiv.org/abs/2112.01527): deformable attention over several maps.

N: images; C: ``feat_channels``; L: maps of the backbone, the finest first; E: those of them that the encoder joins, the
coarsest; S: cells of these E maps, the coarsest first.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import PLUGIN_LAYERS, ConvModule, caffe2_xavier_init, xavier_init
from mmcv.cnn.bricks.transformer import build_positional_encoding, build_transformer_layer_sequence
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn

from mmdet.core.anchor.point_generator import MlvlPointGenerator
from mmdet.models.plugins.pixel_decoder import (
    GROUP_NORM,
    POSITIONAL_ENCODING,
    RELU,
    add_finer_maps,
    check_positions,
)
from mmdet.ops.multi_scale_deform_attn import MultiScaleDeformableAttention
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
ENCODER = dict(
    type='DetrTransformerEncoder',
    num_layers=6,
    transformerlayers=dict(
        type='BaseTransformerLayer',
        attn_cfgs=dict(
            type='MultiScaleDeformableAttention',
            embed_dims=256,
            num_heads=8,
            num_levels=3,
            num_points=4,
            im2col_step=64,
            dropout=0.0,
            batch_first=False,
            norm_cfg=None,
            init_cfg=None,
        ),
        feedforward_channels=1024,
        ffn_dropout=0.0,
        operation_order=('self_attn', 'norm', 'ffn', 'norm'),
    ),
    init_cfg=None,
)


@PLUGIN_LAYERS.register_module()
class MSDeformAttnPixelDecoder(BaseModule):
    """An encoder joins the coarsest maps; the others follow as in a feature pyramid.

    Args:
        in_channels: channels of the L maps, the finest first.
        strides: of the L maps, px.
        feat_channels: channels inside, C.
        out_channels: channels of the mask features.
        num_outs: how many maps the queries look at, the coarsest; at most L.
        norm_cfg: normalisation; None: none, and the pyramid's convolutions have a bias.
        act_cfg: activation of the pyramid's outputs.
        encoder: config of the encoder; ``num_levels`` of its attention is E.
        positional_encoding: encoding of where a cell stands; half as many features as the encoder has channels.
        init_cfg: initialisation beside that of :meth:`init_weights`.

    Raises:
        ValueError: the numbers of maps or of channels do not fit.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        strides: Sequence[int] = (4, 8, 16, 32),
        feat_channels: int = 256,
        out_channels: int = 256,
        num_outs: int = 3,
        norm_cfg: dict | None = GROUP_NORM,
        act_cfg: dict | None = RELU,
        encoder: dict = ENCODER,
        positional_encoding: dict = POSITIONAL_ENCODING,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        built = build_transformer_layer_sequence(encoder)
        self.strides = strides
        self.num_outs = num_outs
        self.num_input_levels = len(in_channels)
        self.num_encoder_levels = built.layers[0].attentions[0].num_levels
        positions = build_positional_encoding(positional_encoding)
        self._check(feat_channels, built.embed_dims, positional_encoding)
        self.use_bias = norm_cfg is None
        num_finer = self.num_input_levels - self.num_encoder_levels
        self.input_convs = ModuleList(  # the coarsest map first
            ConvModule(channels, feat_channels, 1, bias=True, norm_cfg=norm_cfg, act_cfg=None)
            for channels in reversed(in_channels[num_finer:])
        )
        self.encoder = built
        self.postional_encoding = positions  # the name is public
        self.level_encoding = nn.Embedding(self.num_encoder_levels, feat_channels)
        conv: dict[str, Any] = dict(bias=self.use_bias, norm_cfg=norm_cfg)
        self.lateral_convs = ModuleList(
            ConvModule(channels, feat_channels, 1, act_cfg=None, **conv) for channels in in_channels[:num_finer]
        )
        self.output_convs = ModuleList(
            ConvModule(feat_channels, feat_channels, 3, padding=1, act_cfg=act_cfg, **conv) for _ in range(num_finer)
        )
        self.mask_feature = nn.Conv2d(feat_channels, out_channels, 1)
        self.point_generator = MlvlPointGenerator(strides)

    def _check(self, feat_channels: int, encoder_channels: int, positional_encoding: dict) -> None:
        name, levels = type(self).__name__, self.num_input_levels
        for what, number, limit in (
            ('num_levels of the attention', self.num_encoder_levels, levels),
            ('num_outs', self.num_outs, levels),
        ):
            if not 1 <= number <= limit:
                raise ValueError(f'{name}: {what} must be between 1 and the {limit} maps of in_channels, got {number}')
        if len(self.strides) != levels:
            raise ValueError(f'{name}: {levels} maps in in_channels, but {len(self.strides)} strides')
        if encoder_channels != feat_channels:
            raise ValueError(
                f'{name}: the encoder must have feat_channels={feat_channels} channels, got {encoder_channels}'
            )
        check_positions(positional_encoding, feat_channels, name)

    def init_weights(self) -> None:
        """Xavier weights, except for the deformable attentions, which have their own, and the encodings of the maps."""
        super().init_weights()
        for layer in self.input_convs:
            xavier_init(layer.conv, gain=1, bias=0, distribution='uniform')
        for conv in [*(layer.conv for layer in (*self.lateral_convs, *self.output_convs)), self.mask_feature]:
            caffe2_xavier_init(conv, bias=0)
        nn.init.normal_(self.level_encoding.weight)
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        for module in self.encoder.modules():
            if isinstance(module, MultiScaleDeformableAttention):
                module.init_weights()

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Mask features and what the queries look at.

        Args:
            feats: L maps (N, in_channels, H, W), the finest first.

        Returns:
            (N, out_channels, H_0, W_0) at the size of the finest map, and ``num_outs`` maps (N, C, H, W), the coarsest
            first.
        """
        num_finer = self.num_input_levels - self.num_encoder_levels
        maps = self._encode(feats[num_finer:])
        maps += add_finer_maps(maps[-1], feats[:num_finer], self.lateral_convs, self.output_convs, 'bilinear')
        return self.mask_feature(maps[-1]), maps[: self.num_outs]

    def _encode(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """E maps of the backbone, the finest first -> E maps (N, C, H, W), the coarsest first."""
        cells, positions, references, shapes = [], [], [], []
        for number, (feat, conv) in enumerate(zip(reversed(feats), self.input_convs)):
            projected = conv(feat)
            shape = projected.shape[-2:]
            mask = projected.new_zeros((1, *shape), dtype=torch.bool)  # padding is looked at like the rest
            encoded = self.postional_encoding(mask) + self.level_encoding.weight[number][:, None, None]
            cells.append(projected.flatten(2))
            positions.append(encoded.flatten(2))
            references.append(self._middles(shape, self.num_input_levels - 1 - number, feat.device))
            shapes.append(shape)
        middles = torch.cat(references)[None, :, None].expand(len(feats[0]), -1, self.num_encoder_levels, -1)
        memory = self.encoder(
            query=torch.cat(cells, 2).permute(2, 0, 1),  # (N, C, S) -> (S, N, C)
            key=None,
            value=None,
            query_pos=torch.cat(positions, 2).permute(2, 0, 1),
            query_key_padding_mask=None,
            spatial_shapes=shapes,
            reference_points=middles,
        )
        parts = memory.permute(1, 2, 0).split([h * w for h, w in shapes], dim=2)
        return [part.unflatten(2, tuple(shape)) for part, shape in zip(parts, shapes)]

    def _middles(self, shape_hw: Sequence[int], level: int, device: torch.device) -> Tensor:
        """(H * W, 2) x and y of the middles of a map's cells, 1 being the map's edge."""
        size = shape_hw[0], shape_hw[1]
        points = self.point_generator.single_level_grid_priors(size, level, device=device)
        stride_w, stride_h = self.point_generator.strides[level]
        return points / tensor_like([shape_hw[1] * stride_w, shape_hw[0] * stride_h], points)
