"""Swin transformer (https://arxiv.org/abs/2103.14030)."""

import math
from typing import Any, NamedTuple

import torch
from mmcv.cnn import build_norm_layer
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn

from mmdet.models.backbones.layers.swin_attention import ShiftWindowMSA, WindowMSA
from mmdet.models.backbones.layers.swin_blocks import GELU, LAYER_NORM, SwinBlock, SwinBlockSequence
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.ckpt_convert import swin_converter
from mmdet.models.utils.transformers.patch_embed import PatchEmbed, PatchMerging, image_grid, nlc_to_nchw, resized_grid
from mmdet.models.utils.weights import (
    PartlyFrozen,
    freeze,
    init_transformer_layers,
    load_pretrained,
    pretrained_path,
    resolve_init_cfg,
)

__all__ = ['ShiftWindowMSA', 'SwinBlock', 'SwinBlockSequence', 'SwinTransformer', 'WindowMSA', 'fit_position_tables']


class _Block(NamedTuple):
    """Settings of every block."""

    window_size: int
    qkv_bias: bool
    qk_scale: float | None
    drop_rate: float
    attn_drop_rate: float
    act_cfg: dict
    norm_cfg: dict
    with_cp: bool


@BACKBONES.register_module()
class SwinTransformer(PartlyFrozen, BaseModule):
    """Patches of the image, and stages of attention inside shifted windows; strides 4, 8, 16 and 32.

    Args:
        pretrain_img_size: size of the images that the absolute position embedding is made for. Default: 224.
        in_channels: channels of the images. Default: 3.
        embed_dims: channels of the first stage; they double from stage to stage. Default: 96.
        patch_size: size of a patch. Default: 4.
        window_size: rows and columns of a window. Default: 7.
        mlp_ratio: inner channels of the feed-forward networks, as a multiple. Default: 4.
        depths: blocks of each stage.
        num_heads: heads of each stage.
        strides: of the patches and of the merging layers behind all stages but the last.
        out_indices: stages whose outputs ``forward`` gives, each behind a norm of its own.
        qkv_bias, qk_scale, drop_rate, attn_drop_rate: see ``SwinBlock``.
        patch_norm: a norm behind the patch embedding and in the merging layers. Default: True.
        drop_path_rate: probability that an image skips a part of the last block; it grows linearly from 0 at the
            first block. Default: 0.1.
        use_abs_pos_embed: add a learnt embedding of the position, resized to the image. Default: False.
        act_cfg: kind of activation. Default: GELU.
        norm_cfg: kind of norm. Default: layer normalisation.
        with_cp: recompute activations in the backward pass. Default: False.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        convert_weights: the checkpoint has the names of the authors' files. Default: False.
        frozen_stages: the patch embedding and this many stages are kept as they are; -1: all are trained.
        init_cfg: initial values. Default: None, those of the paper.

    Raises:
        ValueError: settings that do not fit each other.
    """

    def __init__(
        self,
        pretrain_img_size: int | tuple[int, int] = 224,
        in_channels: int = 3,
        embed_dims: int = 96,
        patch_size: int = 4,
        window_size: int = 7,
        mlp_ratio: float = 4,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        strides: tuple[int, ...] = (4, 2, 2, 2),
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = False,
        act_cfg: dict = GELU,
        norm_cfg: dict = LAYER_NORM,
        with_cp: bool = False,
        pretrained: str | None = None,
        convert_weights: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained))
        self.convert_weights = convert_weights
        self.frozen_stages = frozen_stages
        self.out_indices = out_indices
        self.use_abs_pos_embed = use_abs_pos_embed
        self._check_settings(len(depths), num_heads, strides, patch_size)
        patch_norm_cfg = norm_cfg if patch_norm else None
        patches = dict(kernel_size=patch_size, stride=strides[0], norm_cfg=patch_norm_cfg)
        self.patch_embed = PatchEmbed(in_channels, embed_dims, **patches)
        image = image_grid(pretrain_img_size)
        if use_abs_pos_embed:
            self.position_grid = tuple(size // patch_size for size in image)
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, math.prod(self.position_grid), embed_dims))
        self.drop_after_pos = nn.Dropout(drop_rate)
        self.num_features = [embed_dims * 2**i for i in range(len(depths))]
        block = _Block(window_size, qkv_bias, qk_scale, drop_rate, attn_drop_rate, act_cfg, norm_cfg, with_cp)
        rates = torch.linspace(0, drop_path_rate, sum(depths)).split(list(depths))
        self.stages = ModuleList()
        for i, (channels, heads, own) in enumerate(zip(self.num_features, num_heads, rates)):
            merging = self._merging(channels, strides[i + 1 : i + 2], patch_norm_cfg)
            self.stages.append(_stage(channels, heads, int(mlp_ratio * channels), own.tolist(), merging, block))
        for i in out_indices:
            self.add_module(f'norm{i}', build_norm_layer(norm_cfg, self.num_features[i])[1])

    def _check_settings(
        self, stages: int, num_heads: tuple[int, ...], strides: tuple[int, ...], patch_size: int
    ) -> None:
        """Refuse arguments that do not fit each other."""
        if not len(num_heads) == len(strides) == stages:
            raise ValueError(
                f'num_heads and strides: expected one entry for each of the {stages} stages, '
                f'got num_heads={num_heads} and strides={strides}'
            )
        if any(not 0 <= i < stages for i in self.out_indices):
            raise ValueError(f'out_indices: expected numbers in [0, {stages}), got {self.out_indices}')
        if not -1 <= self.frozen_stages <= stages:
            raise ValueError(f'frozen_stages: expected a number in [-1, {stages}], got {self.frozen_stages}')
        if strides[0] != patch_size:
            raise ValueError(
                f'strides[0]: must be patch_size={patch_size}, as patches do not overlap; got {strides[0]}'
            )

    @staticmethod
    def _merging(channels: int, stride: tuple[int, ...], norm_cfg: dict | None) -> PatchMerging | None:
        """The layer behind a stage, with the next one's stride; the last stage has no next one."""
        return PatchMerging(channels, 2 * channels, stride=stride[0], norm_cfg=norm_cfg) if stride else None

    def _freeze_stages(self) -> None:
        """Keep the patch embedding and the first ``frozen_stages`` stages as they are; -1: none."""
        if self.frozen_stages < 0:
            return
        freeze(self.patch_embed, self.drop_after_pos)
        if self.use_abs_pos_embed:
            self.absolute_pos_embed.requires_grad = False
        for i in range(self.frozen_stages):
            freeze(self.stages[i], *([getattr(self, f'norm{i}')] if i in self.out_indices else []))

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, or draw initial values as the paper does.

        Tables of relative positions of another window size, and absolute embeddings of another number of patches,
        are resized.
        """
        if self.init_cfg is None:
            init_transformer_layers(self)
            if self.use_abs_pos_embed:
                nn.init.trunc_normal_(self.absolute_pos_embed, std=0.02)
            super().init_weights()
        elif pretrained_path(self.init_cfg) is None:
            super().init_weights()
        else:
            load_pretrained(self, self.init_cfg, self._adapt)
        self._is_init = True

    def _adapt(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a checkpoint under this module's names and in its shapes."""
        if self.convert_weights:
            state_dict = swin_converter(state_dict)
        # a checkpoint of a whole detector or classifier
        if any(name.startswith('backbone.') for name in state_dict):
            state_dict = {name[9:]: value for name, value in state_dict.items() if name.startswith('backbone.')}
        return fit_position_tables(state_dict, self.state_dict())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the outputs of the stages in ``out_indices``."""
        x, hw_shape = self.patch_embed(x)
        if self.use_abs_pos_embed:
            x = x + resized_grid(self.absolute_pos_embed, self.position_grid, hw_shape)
        x = self.drop_after_pos(x)
        outs = []
        for i, stage in enumerate(self.stages):
            x, hw_shape, out, out_shape = stage(x, hw_shape)
            if i in self.out_indices:
                outs.append(nlc_to_nchw(getattr(self, f'norm{i}')(out), out_shape))
        return tuple(outs)


def _stage(
    channels: int, heads: int, inner_channels: int, rates: list[float], merging: PatchMerging | None, settings: _Block
) -> SwinBlockSequence:
    """A stage with a block for each probability that a part is skipped."""
    return SwinBlockSequence(
        channels,
        heads,
        inner_channels,
        len(rates),
        drop_path_rate=rates,
        downsample=merging,
        **settings._asdict(),
    )


def _square(length: int) -> tuple[int, int] | None:
    side = round(length**0.5)
    return (side, side) if side**2 == length else None


def fit_position_tables(state_dict: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Any]:
    """A checkpoint whose tables of positions, all of square grids, are resized to those of the model.

    Args:
        state_dict: names to tensors of the checkpoint.
        own: the model's.

    Returns:
        A copy; a table whose channels differ stays as it is, and so does everything else.
    """
    fitted = dict(state_dict)
    for name, value in state_dict.items():
        if name not in own or value.shape == own[name].shape:
            continue
        table = name.endswith('relative_position_bias_table')
        if name.endswith('relative_position_index'):  # follows from the window's size, and is not learnt
            fitted[name] = own[name]
        elif table or name.endswith('absolute_pos_embed'):
            source = value[None] if table else value
            target = own[name][None] if table else own[name]
            old, new = _square(source.size(1)), _square(target.size(1))
            if source.size(-1) == target.size(-1) and old and new:
                resized = resized_grid(source, old, new)
                fitted[name] = resized[0] if table else resized
    return fitted
