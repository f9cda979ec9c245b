"""The two-layer network of a transformer's block."""

from mmcv.cnn import build_activation_layer
from mmcv.cnn.bricks.drop import build_dropout
from mmcv.runner import BaseModule
from torch import Tensor, nn

# Default arguments, never written to.
GELU = dict(type='GELU')


class ResidualFeedForward(BaseModule):
    """Two linear layers with an activation in between, added to their input.

    The parameters bear the names of mmcv's ``FFN``, whose module imports compiled operators.

    Args:
        embed_dims: channels of input and output.
        feedforward_channels: channels in between.
        act_cfg: kind of activation. Default: GELU.
        ffn_drop: dropout behind each layer. Default: 0.
        dropout_layer: kind of dropout of the whole. Default: None.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: dict = GELU,
        ffn_drop: float = 0.0,
        dropout_layer: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.layers = nn.Sequential(
            nn.Sequential(
                nn.Linear(embed_dims, feedforward_channels), build_activation_layer(act_cfg), nn.Dropout(ffn_drop)
            ),
            nn.Linear(feedforward_channels, embed_dims),
            nn.Dropout(ffn_drop),
        )
        self.dropout_layer = build_dropout(dropout_layer) if dropout_layer else nn.Identity()

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """``(..., embed_dims)`` to the same shape; ``identity`` (default: ``x``) is what is added to."""
        return (x if identity is None else identity) + self.dropout_layer(self.layers(x))
