"""The transformer of DETR (https://arxiv.org/abs/2005.12872).

N: images; Q: queries; C: channels; S: cells of the feature map.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.registry import TRANSFORMER_LAYER, TRANSFORMER_LAYER_SEQUENCE
from mmcv.cnn.bricks.transformer import TransformerLayerSequence, build_transformer_layer_sequence
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.utils.builder import TRANSFORMER
from mmdet.models.utils.transformers.attention import LAYER_NORM, RELU, BaseTransformerLayer
from mmdet.utils.registry import require

DECODER_OPERATIONS = {'self_attn', 'norm', 'cross_attn', 'ffn'}


@TRANSFORMER_LAYER.register_module()
class DetrTransformerDecoderLayer(BaseTransformerLayer):
    """Self-attention of the queries, attention to the image, feed-forward layers.

    Args:
        attn_cfgs: config of both attentions, or a list of two.
        feedforward_channels: channels inside the feed-forward part.
        ffn_dropout: its fraction of dropped values.
        operation_order: six of ``'self_attn'``, ``'norm'``, ``'cross_attn'``, ``'ffn'``, each at least once.
        act_cfg: its activation.
        norm_cfg: kind of the normalisations.
        ffn_num_fcs: its linear layers.
        kwargs: more arguments of mmcv's ``BaseTransformerLayer``.

    Raises:
        ValueError: another order.
    """

    def __init__(
        self,
        attn_cfgs: dict | list[dict],
        feedforward_channels: int,
        ffn_dropout: float = 0.0,
        operation_order: Sequence[str] | None = None,
        act_cfg: dict = RELU,
        norm_cfg: dict = LAYER_NORM,
        ffn_num_fcs: int = 2,
        **kwargs: Any,
    ) -> None:
        require(self, operation_order=operation_order)
        if len(operation_order or ()) != 6 or set(operation_order) != DECODER_OPERATIONS:
            raise ValueError(
                f'operation_order: expected six of {sorted(DECODER_OPERATIONS)}, each at least once, '
                f'got {operation_order}'
            )
        ffn = dict(
            type='FFN',
            feedforward_channels=feedforward_channels,
            num_fcs=ffn_num_fcs,
            ffn_drop=ffn_dropout,
            act_cfg=act_cfg,
        )
        settings = dict(ffn_cfgs=ffn, norm_cfg=norm_cfg, operation_order=operation_order)
        super().__init__(attn_cfgs=attn_cfgs, **{**settings, **kwargs})


@TRANSFORMER_LAYER_SEQUENCE.register_module()
class DetrTransformerEncoder(TransformerLayerSequence):
    """Layers of the encoder, and a last normalisation where they normalise first.

    Args:
        args, kwargs: of mmcv's ``TransformerLayerSequence``.
        post_norm_cfg: that normalisation; None: none.
    """

    def __init__(self, *args: Any, post_norm_cfg: dict | None = LAYER_NORM, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        has_norm = post_norm_cfg is not None and self.pre_norm
        self.post_norm = build_norm_layer(post_norm_cfg, self.embed_dims)[1] if has_norm else None

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """(S, N, C) -> (S, N, C)."""
        x = super().forward(*args, **kwargs)
        return x if self.post_norm is None else self.post_norm(x)


@TRANSFORMER_LAYER_SEQUENCE.register_module()
class DetrTransformerDecoder(TransformerLayerSequence):
    """Layers of the decoder, each result normalised once more.

    Args:
        args, kwargs: of mmcv's ``TransformerLayerSequence``.
        post_norm_cfg: that normalisation; None: none.
        return_intermediate: give the results of all layers.
    """

    def __init__(
        self,
        *args: Any,
        post_norm_cfg: dict | None = LAYER_NORM,
        return_intermediate: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.return_intermediate = return_intermediate
        self.post_norm = None if post_norm_cfg is None else build_norm_layer(post_norm_cfg, self.embed_dims)[1]

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(Q, N, C) -> (layers, Q, N, C), or (1, Q, N, C) of the last layer."""
        results = []
        for layer in self.layers:
            query = layer(query, *args, **kwargs)
            results.append(query)
        results = torch.stack(results if self.return_intermediate else results[-1:])
        return results if self.post_norm is None else self.post_norm(results)


@TRANSFORMER.register_module()
class Transformer(BaseModule):
    """Encoder of a feature map and decoder of queries.

    Args:
        encoder, decoder: their configs.
        init_cfg: initialisation beside Xavier uniform weights.
    """

    def __init__(
        self, encoder: dict | None = None, decoder: dict | None = None, init_cfg: dict | list[dict] | None = None
    ) -> None:
        require(self, encoder=encoder, decoder=decoder)
        super().__init__(init_cfg)
        self.encoder = build_transformer_layer_sequence(encoder)
        self.decoder = build_transformer_layer_sequence(decoder)
        self.embed_dims = self.encoder.embed_dims

    def init_weights(self) -> None:
        """Xavier uniform weights for all matrices."""
        super().init_weights()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self._is_init = True

    def forward(self, x: Tensor, mask: Tensor, query_embed: Tensor, pos_embed: Tensor) -> tuple[Tensor, Tensor]:
        """Queries that have seen the image.

        Args:
            x: (N, C, H, W).
            mask: (N, H, W), True on padding.
            query_embed: (Q, C) what the queries ask for.
            pos_embed: (N, C, H, W) encoding of where a cell stands.

        Returns:
            (layers, N, Q, C) queries, and (N, C, H, W) what the encoder made of ``x``.
        """
        cells = x.flatten(2).permute(2, 0, 1)  # (N, C, H, W) -> (S, N, C)
        positions = pos_embed.flatten(2).permute(2, 0, 1)
        padding = mask.flatten(1)
        memory = self.encoder(query=cells, key=None, value=None, query_pos=positions, query_key_padding_mask=padding)
        asked = query_embed[:, None].expand(-1, x.size(0), -1)
        found = self.decoder(
            query=torch.zeros_like(asked),
            key=memory,
            value=memory,
            key_pos=positions,
            query_pos=asked,
            key_padding_mask=padding,
        )
        return found.transpose(1, 2), memory.permute(1, 2, 0).reshape(x.shape)
