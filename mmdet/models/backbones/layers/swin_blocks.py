"""The blocks and stages of a Swin transformer (https://arxiv.org/abs/2103.14030)."""

from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.transformer import FFN
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn

from mmdet.models.backbones.layers.swin_attention import ShiftWindowMSA
from mmdet.models.utils.weights import run_block

# Default arguments, never written to.
GELU = dict(type='GELU')
LAYER_NORM = dict(type='LN')


class SwinBlock(BaseModule):
    """Attention inside windows and a feed-forward network, each behind a norm and with a shortcut.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        feedforward_channels: inner channels of the feed-forward network.
        window_size: rows and columns of a window. Default: 7.
        shift: shift the windows by half their size. Default: False.
        qkv_bias: have a bias for queries, keys and values. Default: True.
        qk_scale: factor of the attention's logits. Default: None, one over the root of a head's channels.
        drop_rate: dropout of outputs of layers. Default: 0.
        attn_drop_rate: dropout of the attention's weights. Default: 0.
        drop_path_rate: probability that an image skips a part in training. Default: 0.
        act_cfg: kind of activation. Default: GELU.
        norm_cfg: kind of norm. Default: layer normalisation.
        with_cp: recompute activations in the backward pass. Default: False.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: int = 7,
        shift: bool = False,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: dict = GELU,
        norm_cfg: dict = LAYER_NORM,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.with_cp = with_cp
        dropout_layer = dict(type='DropPath', drop_prob=drop_path_rate)
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = ShiftWindowMSA(
            embed_dims,
            num_heads,
            window_size,
            shift_size=window_size // 2 if shift else 0,
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop_rate=attn_drop_rate,
            proj_drop_rate=drop_rate,
            dropout_layer=dropout_layer,
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(
            embed_dims, feedforward_channels, act_cfg=act_cfg, ffn_drop=drop_rate, dropout_layer=dropout_layer
        )

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """A sequence ``(N, H * W, embed_dims)`` to the same shape."""

        def layers(x: Tensor) -> Tensor:
            x = x + self.attn(self.norm1(x), hw_shape)
            return self.ffn(self.norm2(x), identity=x)

        return run_block(layers, x, self.with_cp)


class SwinBlockSequence(BaseModule):
    """A stage: blocks whose windows are shifted in every second one, and perhaps a layer that merges patches.

    Args:
        embed_dims, num_heads, feedforward_channels, window_size, qkv_bias, qk_scale, drop_rate, attn_drop_rate,
            act_cfg, norm_cfg, with_cp: see ``SwinBlock``.
        depth: number of blocks.
        drop_path_rate: one for all blocks, or one for each.
        downsample: what stands behind the blocks. Default: None.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: as many rates as blocks are expected.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        depth: int,
        window_size: int = 7,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float | list[float] = 0.0,
        downsample: nn.Module | None = None,
        act_cfg: dict = GELU,
        norm_cfg: dict = LAYER_NORM,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        rates = drop_path_rate if isinstance(drop_path_rate, list) else [drop_path_rate] * depth
        if len(rates) != depth:
            raise ValueError(f'drop_path_rate: expected depth={depth} of them, got {len(rates)}')
        self.blocks = ModuleList(
            SwinBlock(
                embed_dims,
                num_heads,
                feedforward_channels,
                window_size=window_size,
                shift=i % 2 == 1,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop_rate=drop_rate,
                attn_drop_rate=attn_drop_rate,
                drop_path_rate=rate,
                act_cfg=act_cfg,
                norm_cfg=norm_cfg,
                with_cp=with_cp,
            )
            for i, rate in enumerate(rates)
        )
        self.downsample = downsample

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, tuple[int, int], Tensor, tuple[int, int]]:
        """A sequence ``(N, H * W, embed_dims)`` to the next stage's input and this stage's output.

        Returns:
            The merged sequence and its ``(h, w)`` (without ``downsample``, the output), the output and ``(H, W)``.
        """
        for block in self.blocks:
            x = block(x, hw_shape)
        if self.downsample is None:
            return x, hw_shape, x, hw_shape
        merged, merged_shape = self.downsample(x, hw_shape)
        return merged, merged_shape, x, hw_shape
