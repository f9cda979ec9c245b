"""Pyramid vision transformers, version 1 (https://arxiv.org/abs/2102.12122) and 2 (https://arxiv.org/abs/2106.13797)."""

from typing import Any, NamedTuple

import torch
from mmcv.cnn import build_norm_layer
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn

from mmdet.models.backbones.layers.pvt_layers import (
    AbsolutePositionEmbedding,
    MixFFN,
    PVTEncoderLayer,
    SpatialReductionAttention,
)
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.ckpt_convert import pvt_convert
from mmdet.models.utils.transformers.patch_embed import PatchEmbed, image_grid, nlc_to_nchw
from mmdet.models.utils.weights import init_transformer_layers, load_pretrained, pretrained_path, resolve_init_cfg

# Default arguments, never written to.
NUM_LAYERS = [3, 4, 6, 3]
NUM_HEADS = [1, 2, 5, 8]
PATCH_SIZES = [4, 2, 2, 2]
PADDINGS = [0, 0, 0, 0]
SR_RATIOS = [8, 4, 2, 1]
MLP_RATIOS = [8, 8, 4, 4]
GELU = dict(type='GELU')
LAYER_NORM = dict(type='LN', eps=1e-6)

__all__ = [
    'AbsolutePositionEmbedding',
    'MixFFN',
    'PVTEncoderLayer',
    'PyramidVisionTransformer',
    'PyramidVisionTransformerV2',
    'SpatialReductionAttention',
]


@BACKBONES.register_module()
class PyramidVisionTransformer(BaseModule):
    """Stages of attention over maps that become smaller from stage to stage; strides 4, 8, 16 and 32.

    Args:
        pretrain_img_size: size of the images that the position embeddings are made for. Default: 224.
        in_channels: channels of the images. Default: 3.
        embed_dims: channels of a head in each stage. Default: 64.
        num_stages: number of stages. Default: 4.
        num_layers: blocks of each stage.
        num_heads: heads of each stage.
        patch_sizes, strides, paddings: of the convolution that begins each stage.
        sr_ratios: by how much each stage's attention reduces the map that is attended to.
        out_indices: stages whose outputs ``forward`` gives.
        mlp_ratios: inner channels of the feed-forward networks of each stage, as a multiple.
        qkv_bias: have biases in the attention. Default: True.
        drop_rate: dropout of outputs of layers. Default: 0.
        attn_drop_rate: dropout of the attention's weights. Default: 0.
        drop_path_rate: probability that an image skips a part of the last block; it grows linearly from 0 at the
            first block. Default: 0.1.
        use_abs_pos_embed: add a learnt embedding of the position in each stage. Default: True.
        norm_after_stage: have a norm behind each stage. Default: False.
        use_conv_ffn: see ``MixFFN``. Default: False.
        act_cfg: kind of activation. Default: GELU.
        norm_cfg: kind of norm. Default: layer normalisation.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        convert_weights: the checkpoint has the names of the authors' files. Default: True.
        init_cfg: initial values. Default: None, those of the paper.

    Raises:
        ValueError: settings that do not fit each other.
    """

    def __init__(
        self,
        pretrain_img_size: int | tuple[int, int] = 224,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: list[int] = NUM_LAYERS,
        num_heads: list[int] = NUM_HEADS,
        patch_sizes: list[int] = PATCH_SIZES,
        strides: list[int] = PATCH_SIZES,
        paddings: list[int] = PADDINGS,
        sr_ratios: list[int] = SR_RATIOS,
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        mlp_ratios: list[int] = MLP_RATIOS,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = True,
        norm_after_stage: bool = False,
        use_conv_ffn: bool = False,
        act_cfg: dict = GELU,
        norm_cfg: dict = LAYER_NORM,
        pretrained: str | None = None,
        convert_weights: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained))
        self.pretrained, self.convert_weights = pretrained, convert_weights
        self.embed_dims = embed_dims
        self.num_stages = num_stages
        self.num_layers, self.num_heads = num_layers, num_heads
        self.patch_sizes, self.strides, self.sr_ratios = patch_sizes, strides, sr_ratios
        self.out_indices = out_indices
        per_stage = (num_layers, num_heads, patch_sizes, strides, paddings, sr_ratios, mlp_ratios)
        _check_stages(num_stages, per_stage, out_indices)
        block = _Block(qkv_bias, drop_rate, attn_drop_rate, act_cfg, norm_cfg, use_conv_ffn)
        rates = iter(torch.linspace(0, drop_path_rate, sum(num_layers)).tolist())
        grid = image_grid(pretrain_img_size)
        self.layers = ModuleList()
        for stage in map(_Stage._make, zip(*per_stage)):
            channels = embed_dims * stage.num_heads
            embed = _patch_embed(stage, in_channels, channels, norm_cfg)
            grid = tuple(size // stage.patch_size for size in grid)
            blocks = [AbsolutePositionEmbedding(grid, channels, drop_rate)] if use_abs_pos_embed else []
            blocks += _blocks(stage, channels, [next(rates) for _ in range(stage.num_layers)], block)
            norm = build_norm_layer(norm_cfg, channels)[1] if norm_after_stage else nn.Identity()
            self.layers.append(ModuleList([embed, ModuleList(blocks), norm]))
            in_channels = channels

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, or draw initial values as the paper does."""
        if self.init_cfg is None:
            init_transformer_layers(self)
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
                    nn.init.normal_(layer.weight, std=(2.0 / fan_out) ** 0.5)
                    nn.init.zeros_(layer.bias)
            super().init_weights()
        elif pretrained_path(self.init_cfg) is None:
            super().init_weights()
        else:
            load_pretrained(self, self.init_cfg, pvt_convert if self.convert_weights else dict)
        self._is_init = True

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the outputs of the stages in ``out_indices``."""
        outs = []
        for i, (embed, blocks, norm) in enumerate(self.layers):
            x, hw_shape = embed(x)
            for block in blocks:
                x = block(x, hw_shape)
            x = nlc_to_nchw(norm(x), hw_shape)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


class _Stage(NamedTuple):
    """Settings of one stage."""

    num_layers: int
    num_heads: int
    patch_size: int
    stride: int
    padding: int
    sr_ratio: int
    mlp_ratio: int


class _Block(NamedTuple):
    """Settings of every block."""

    qkv_bias: bool
    drop_rate: float
    attn_drop_rate: float
    act_cfg: dict
    norm_cfg: dict
    use_conv_ffn: bool


# the constructor's names of what the fields of _Stage are in each stage
_PER_STAGE = ('num_layers', 'num_heads', 'patch_sizes', 'strides', 'paddings', 'sr_ratios', 'mlp_ratios')


def _check_stages(num_stages: int, per_stage: tuple[list[int], ...], out_indices: tuple[int, ...]) -> None:
    """Refuse arguments that do not fit the number of stages."""
    for name, values in zip(_PER_STAGE, per_stage):
        if len(values) != num_stages:
            raise ValueError(f'{name}: expected num_stages={num_stages} entries, got {values}')
    if any(not 0 <= i < num_stages for i in out_indices):
        raise ValueError(f'out_indices: expected numbers in [0, {num_stages}), got {out_indices}')


def _patch_embed(stage: _Stage, in_channels: int, channels: int, norm_cfg: dict) -> PatchEmbed:
    """The convolution that begins a stage."""
    return PatchEmbed(
        in_channels,
        channels,
        kernel_size=stage.patch_size,
        stride=stage.stride,
        padding=stage.padding,
        norm_cfg=norm_cfg,
    )


def _blocks(stage: _Stage, channels: int, rates: list[float], settings: _Block) -> list[PVTEncoderLayer]:
    """The blocks of a stage, one for each probability that a part is skipped."""
    return [
        PVTEncoderLayer(
            channels,
            stage.num_heads,
            stage.mlp_ratio * channels,
            drop_path_rate=rate,
            sr_ratio=stage.sr_ratio,
            **settings._asdict(),
        )
        for rate in rates
    ]


@BACKBONES.register_module()
class PyramidVisionTransformerV2(PyramidVisionTransformer):
    """Version 2: overlapping patches, and convolutions instead of position embeddings; same arguments."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            patch_sizes=[7, 3, 3, 3],
            paddings=[3, 1, 1, 1],
            use_abs_pos_embed=False,
            norm_after_stage=True,
            use_conv_ffn=True,
            **kwargs,
        )
