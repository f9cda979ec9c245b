"""mmcv's attention, feed-forward and transformer layer, which know their arguments and remember no other model.

mmcv 1.7 takes any argument here and drops what it does not know, so that a misspelt one would leave its default in
place. It also writes the deprecated arguments ``dropout``, ``feedforward_channels``, ``ffn_dropout`` and
``ffn_num_fcs`` into the dicts that are the defaults of its constructors: every later attention of the process would
have the dropout of the DETR that was built first. Here each call has its own dicts, those of a config included.
"""

import copy
from collections.abc import Sequence
from typing import Any

from mmcv.cnn.bricks import transformer
from mmcv.cnn.bricks.registry import ATTENTION, FEEDFORWARD_NETWORK, TRANSFORMER_LAYER

from mmdet.utils.registry import require

# Defaults of the constructors, which are part of their signatures; never written to.
NO_DROPOUT = dict(type='Dropout', drop_prob=0.0)
LAYER_NORM = dict(type='LN')
RELU = dict(type='ReLU', inplace=True)
FFN_CFG = dict(type='FFN', embed_dims=256, feedforward_channels=1024, num_fcs=2, ffn_drop=0.0, act_cfg=RELU)


@ATTENTION.register_module(force=True)
class MultiheadAttention(transformer.MultiheadAttention):
    """Attention with a shortcut; it takes the place of mmcv's class, arguments and checkpoint keys are the same.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        attn_drop: fraction of dropped attention weights.
        proj_drop: fraction of dropped values of the projection.
        dropout_layer: config of the dropout before the shortcut; None: none.
        init_cfg: initialisation.
        batch_first: tensors are (N, Q, C), else (Q, N, C).
        dropout: an old name for ``attn_drop`` and that of ``dropout_layer``.
        kwargs: more arguments of ``torch.nn.MultiheadAttention``.

    Raises:
        TypeError: torch's class has no such argument.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: dict | None = NO_DROPOUT,
        init_cfg: dict | list[dict] | None = None,
        batch_first: bool = False,
        dropout: float | None = None,
        **kwargs: Any,
    ) -> None:
        if dropout is not None:
            kwargs['dropout'] = dropout
        super().__init__(
            embed_dims,
            num_heads,
            attn_drop,
            proj_drop,
            copy.deepcopy(dropout_layer),
            init_cfg,
            batch_first,
            **kwargs,
        )


@FEEDFORWARD_NETWORK.register_module(force=True)
class FFN(transformer.FFN):
    """Linear layers with a shortcut; it takes the place of mmcv's class, arguments and checkpoint keys are the same.

    Args:
        embed_dims: channels.
        feedforward_channels: channels inside.
        num_fcs: number of linear layers, from 2 on.
        act_cfg: activation.
        ffn_drop: fraction of dropped values.
        dropout_layer: config of the dropout before the shortcut; None: none.
        add_identity: with the shortcut.
        init_cfg: initialisation.
        dropout, add_residual: old names for ``ffn_drop`` and ``add_identity``.

    Raises:
        TypeError: ``dropout`` beside ``ffn_drop``.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        feedforward_channels: int = 1024,
        num_fcs: int = 2,
        act_cfg: dict = RELU,
        ffn_drop: float = 0.0,
        dropout_layer: dict | None = None,
        add_identity: bool = True,
        init_cfg: dict | list[dict] | None = None,
        dropout: float | None = None,
        add_residual: bool | None = None,
    ) -> None:
        if dropout is not None and ffn_drop != 0.0:
            raise TypeError(f"'dropout' is an old name of 'ffn_drop': give one of them, got {dropout} and {ffn_drop}")
        super().__init__(
            embed_dims,
            feedforward_channels,
            num_fcs,
            act_cfg,
            ffn_drop if dropout is None else dropout,
            dropout_layer,
            add_identity if add_residual is None else add_residual,
            init_cfg,
        )


@TRANSFORMER_LAYER.register_module(force=True)
class BaseTransformerLayer(transformer.BaseTransformerLayer):
    """Attentions and feed-forward layers; it takes the place of mmcv's class, arguments and keys are the same.

    Args:
        attn_cfgs: config of all attentions, or a list with one for each.
        ffn_cfgs: config of the feed-forward layers, or a list with one for each.
        operation_order: of ``'self_attn'``, ``'norm'``, ``'ffn'`` and ``'cross_attn'``.
        norm_cfg: kind of the normalisations.
        init_cfg: initialisation.
        batch_first: tensors are (N, Q, C), else (Q, N, C).
        feedforward_channels, ffn_dropout, ffn_num_fcs: old names for those of ``ffn_cfgs``, whose ``ffn_drop`` and
            ``num_fcs`` the last two are.

    Raises:
        TypeError: ``operation_order`` or ``attn_cfgs`` is missing.
    """

    def __init__(
        self,
        attn_cfgs: dict | list[dict] | None = None,
        ffn_cfgs: dict | list[dict] = FFN_CFG,
        operation_order: Sequence[str] | None = None,
        norm_cfg: dict = LAYER_NORM,
        init_cfg: dict | list[dict] | None = None,
        batch_first: bool = False,
        feedforward_channels: int | None = None,
        ffn_dropout: float | None = None,
        ffn_num_fcs: int | None = None,
    ) -> None:
        require(self, attn_cfgs=attn_cfgs, operation_order=operation_order)
        old = dict(feedforward_channels=feedforward_channels, ffn_dropout=ffn_dropout, ffn_num_fcs=ffn_num_fcs)
        super().__init__(
            copy.deepcopy(attn_cfgs),
            copy.deepcopy(ffn_cfgs),
            operation_order,
            norm_cfg,
            init_cfg,
            batch_first,
            **{name: value for name, value in old.items() if value is not None},
        )
