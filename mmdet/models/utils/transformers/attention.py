"""mmcv's attention and transformer layer, without what they remember of models that were built before.

mmcv 1.7 writes the deprecated arguments ``dropout``, ``feedforward_channels``, ``ffn_dropout`` and ``ffn_num_fcs`` into
the dicts that are the defaults of its constructors. So every later attention of the process would have the dropout of
the DETR that was built first. Here each call has its own dicts, those of a config included.
"""

import copy
from typing import Any

from mmcv.cnn.bricks import transformer
from mmcv.cnn.bricks.registry import ATTENTION, TRANSFORMER_LAYER

# Defaults of the constructors, which are part of their signatures; never written to.
NO_DROPOUT = dict(type='Dropout', drop_prob=0.0)
FFN = dict(
    type='FFN',
    embed_dims=256,
    feedforward_channels=1024,
    num_fcs=2,
    ffn_drop=0.0,
    act_cfg=dict(type='ReLU', inplace=True),
)


@ATTENTION.register_module(force=True)
class MultiheadAttention(transformer.MultiheadAttention):
    """Attention with a shortcut; it takes the place of mmcv's class, arguments and checkpoint keys are the same.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        attn_drop: fraction of dropped attention weights.
        proj_drop: fraction of dropped values of the projection.
        dropout_layer: config of the dropout before the shortcut; None: none.
        kwargs: more arguments of mmcv's class; ``dropout`` is an old name for ``attn_drop`` and that of
            ``dropout_layer``.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: dict | None = NO_DROPOUT,
        init_cfg: dict | None = None,
        batch_first: bool = False,
        **kwargs: Any,
    ) -> None:
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


@TRANSFORMER_LAYER.register_module(force=True)
class BaseTransformerLayer(transformer.BaseTransformerLayer):
    """Attentions and feed-forward layers; it takes the place of mmcv's class, arguments and keys are the same.

    Args:
        attn_cfgs: config of all attentions, or a list with one for each.
        ffn_cfgs: config of the feed-forward layers, or a list with one for each.
        args, kwargs: more arguments of mmcv's class.
    """

    def __init__(
        self, attn_cfgs: dict | list[dict] | None = None, ffn_cfgs: dict | list[dict] = FFN, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(copy.deepcopy(attn_cfgs), copy.deepcopy(ffn_cfgs), *args, **kwargs)
