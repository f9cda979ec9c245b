"""Convolution whose weights come from the object that it looks for."""

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmcv.runner import BaseModule
from mmcv.utils import to_2tuple
from torch import Tensor, nn

from mmdet.models.utils.builder import TRANSFORMER

# Defaults of the constructor, which are part of its signature; never written to.
RELU = dict(type='ReLU', inplace=True)
LAYER_NORM = dict(type='LN')


@TRANSFORMER.register_module()
class DynamicConv(BaseModule):
    """Two 1x1 convolutions over a RoI's features with weights made from its query (https://arxiv.org/abs/2011.12450).

    Args:
        in_channels: channels of the RoI features and of the query.
        feat_channels: channels between the two convolutions.
        out_channels: channels of the result; None: ``in_channels``.
        input_feat_shape: height and width of the RoI features, or one number for both; used with ``with_proj``.
        with_proj: bring the result to one vector for each RoI by a linear layer.
        act_cfg, norm_cfg: kind of the activations and of the normalisations.
        init_cfg: initialisation.
    """

    def __init__(
        self,
        in_channels: int = 256,
        feat_channels: int = 64,
        out_channels: int | None = None,
        input_feat_shape: int | tuple[int, int] = 7,
        with_proj: bool = True,
        act_cfg: dict = RELU,
        norm_cfg: dict = LAYER_NORM,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.out_channels_raw = out_channels
        self.out_channels = out_channels or in_channels
        self.input_feat_shape = to_2tuple(input_feat_shape)
        self.with_proj = with_proj
        self.act_cfg = act_cfg
        self.norm_cfg = norm_cfg
        self.num_params_in = self.in_channels * self.feat_channels
        self.num_params_out = self.feat_channels * self.out_channels

        self.dynamic_layer = nn.Linear(self.in_channels, self.num_params_in + self.num_params_out)
        self.norm_in = build_norm_layer(norm_cfg, self.feat_channels)[1]
        self.norm_out = build_norm_layer(norm_cfg, self.out_channels)[1]
        self.activation = build_activation_layer(act_cfg)
        if with_proj:
            height, width = self.input_feat_shape
            self.fc_layer = nn.Linear(self.out_channels * height * width, self.out_channels)
            self.fc_norm = build_norm_layer(norm_cfg, self.out_channels)[1]

    def forward(self, param_feature: Tensor, input_feature: Tensor) -> Tensor:
        """Features of n RoIs as their queries see them.

        Args:
            param_feature: (n, in_channels), the queries.
            input_feature: (n, in_channels, h, w).

        Returns:
            (n, out_channels) with ``with_proj``, else (n, h * w, out_channels).
        """
        pixels = input_feature.flatten(2).transpose(1, 2)  # (n, C, h, w) -> (n, h * w, C)
        weight_in, weight_out = self.dynamic_layer(param_feature).split([self.num_params_in, self.num_params_out], 1)
        weight_in = weight_in.view(-1, self.in_channels, self.feat_channels)
        weight_out = weight_out.view(-1, self.feat_channels, self.out_channels)
        features = self.activation(self.norm_in(torch.bmm(pixels, weight_in)))
        features = self.activation(self.norm_out(torch.bmm(features, weight_out)))
        if not self.with_proj:
            return features
        return self.activation(self.fc_norm(self.fc_layer(features.flatten(1))))
