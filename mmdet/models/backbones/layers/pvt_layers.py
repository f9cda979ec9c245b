"""What the stages of a pyramid vision transformer are made of."""

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmcv.cnn.bricks.drop import build_dropout
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.utils.transformers.patch_embed import nchw_to_nlc, nlc_to_nchw, resized_grid

# Default arguments, never written to.
GELU = dict(type='GELU')
LAYER_NORM = dict(type='LN')


def dropout_or_identity(cfg: dict | None) -> nn.Module:
    """The dropout that a config describes; None: no dropout."""
    return nn.Identity() if cfg is None else build_dropout(cfg)


class MixFFN(BaseModule):
    """A feed-forward network of 1x1 convolutions, added to its input.

    Args:
        embed_dims: channels of input and output.
        feedforward_channels: channels in between.
        act_cfg: kind of activation. Default: GELU.
        ffn_drop: dropout behind activation and output. Default: 0.
        dropout_layer: kind of dropout of the whole. Default: None.
        use_conv: a 3x3 depthwise convolution before the activation, which tells positions apart. Default: False.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: dict = GELU,
        ffn_drop: float = 0.0,
        dropout_layer: dict | None = None,
        use_conv: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.feedforward_channels = hidden = feedforward_channels
        self.act_cfg = act_cfg
        position = [nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)] if use_conv else []
        self.layers = nn.Sequential(
            nn.Conv2d(embed_dims, hidden, 1),
            *position,
            build_activation_layer(act_cfg),
            nn.Dropout(ffn_drop),
            nn.Conv2d(hidden, embed_dims, 1),
            nn.Dropout(ffn_drop),
        )
        self.dropout_layer = dropout_or_identity(dropout_layer)

    def forward(self, x: Tensor, hw_shape: tuple[int, int], identity: Tensor | None = None) -> Tensor:
        """A sequence ``(N, H * W, C)`` to the same shape; ``identity`` (default: ``x``) is what is added to."""
        out = nchw_to_nlc(self.layers(nlc_to_nchw(x, hw_shape)))
        return (x if identity is None else identity) + self.dropout_layer(out)


class SpatialReductionAttention(BaseModule):
    """Attention of all patches of a map to a smaller version of it, added to its input.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        attn_drop: dropout of the attention's weights. Default: 0.
        proj_drop: dropout of the output. Default: 0.
        dropout_layer: kind of dropout of the whole. Default: None.
        batch_first: the only order of dimensions here. Default: True.
        qkv_bias: have biases. Default: True.
        norm_cfg: kind of norm behind the reduction. Default: layer normalisation.
        sr_ratio: keys and values are made of patches of this size; 1: of the map itself. Default: 1.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: ``batch_first=False``.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: dict | None = None,
        batch_first: bool = True,
        qkv_bias: bool = True,
        norm_cfg: dict = LAYER_NORM,
        sr_ratio: int = 1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not batch_first:
            raise ValueError('batch_first: sequences here are (N, H * W, C), so that only True is accepted')
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.batch_first = batch_first
        self.sr_ratio = sr_ratio
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, attn_drop, bias=qkv_bias, batch_first=True)
        self.proj_drop = nn.Dropout(proj_drop)
        self.dropout_layer = dropout_or_identity(dropout_layer)
        if sr_ratio > 1:
            self.sr = nn.Conv2d(embed_dims, embed_dims, sr_ratio, stride=sr_ratio)
            self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: Tensor, hw_shape: tuple[int, int], identity: Tensor | None = None) -> Tensor:
        """A sequence ``(N, H * W, C)`` to the same shape; ``identity`` (default: ``x``) is what is added to."""
        seen = x
        if self.sr_ratio > 1:
            seen = self.norm(nchw_to_nlc(self.sr(nlc_to_nchw(x, hw_shape))))
        out = self.attn(x, seen, seen, need_weights=False)[0]
        return (x if identity is None else identity) + self.dropout_layer(self.proj_drop(out))

    legacy_forward = forward  # 2.x had a second way for versions of mmcv before 1.3.17


class PVTEncoderLayer(BaseModule):
    """Attention to a reduced map and a feed-forward network, each behind a norm and with a shortcut.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        feedforward_channels: inner channels of the feed-forward network.
        drop_rate: dropout of outputs of layers. Default: 0.
        attn_drop_rate: dropout of the attention's weights. Default: 0.
        drop_path_rate: probability that an image skips a part in training. Default: 0.
        qkv_bias: have biases in the attention. Default: True.
        act_cfg: kind of activation. Default: GELU.
        norm_cfg: kind of norm. Default: layer normalisation.
        sr_ratio: see ``SpatialReductionAttention``. Default: 1.
        use_conv_ffn: see ``MixFFN``. Default: False.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        act_cfg: dict = GELU,
        norm_cfg: dict = LAYER_NORM,
        sr_ratio: int = 1,
        use_conv_ffn: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        dropout_layer = dict(type='DropPath', drop_prob=drop_path_rate)
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = SpatialReductionAttention(
            embed_dims,
            num_heads,
            attn_drop=attn_drop_rate,
            proj_drop=drop_rate,
            dropout_layer=dropout_layer,
            qkv_bias=qkv_bias,
            norm_cfg=norm_cfg,
            sr_ratio=sr_ratio,
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = MixFFN(embed_dims, feedforward_channels, act_cfg, drop_rate, dropout_layer, use_conv_ffn)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """A sequence ``(N, H * W, embed_dims)`` to the same shape."""
        x = self.attn(self.norm1(x), hw_shape, identity=x)
        return self.ffn(self.norm2(x), hw_shape, identity=x)


class AbsolutePositionEmbedding(BaseModule):
    """Adds a learnt vector for each position, resized to the map.

    Args:
        pos_shape: rows and columns that vectors are learnt for.
        pos_dim: channels.
        drop_rate: dropout of the sum. Default: 0.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        pos_shape: int | tuple[int, int],
        pos_dim: int,
        drop_rate: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.pos_shape = nn.modules.utils._pair(pos_shape)
        self.pos_dim = pos_dim
        self.pos_embed = nn.Parameter(torch.zeros(1, self.pos_shape[0] * self.pos_shape[1], pos_dim))
        self.drop = nn.Dropout(drop_rate)

    def init_weights(self) -> None:
        """Draw the vectors from a truncated normal distribution."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def resize_pos_embed(self, pos_embed: Tensor, input_shape: tuple[int, int], mode: str = 'bilinear') -> Tensor:
        """The vectors ``(1, rows * columns, C)`` at each cell of a map of ``(H, W)``: ``(1, H * W, C)``."""
        return resized_grid(pos_embed, self.pos_shape, input_shape, mode)

    def forward(self, x: Tensor, hw_shape: tuple[int, int], mode: str = 'bilinear') -> Tensor:
        """A sequence ``(N, H * W, pos_dim)`` to the same shape."""
        return self.drop(x + self.resize_pos_embed(self.pos_embed, hw_shape, mode))
