"""What all RoI feature extractors share: one pooling layer for each feature map, and the scaling of RoIs."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn as nn
from mmcv.runner import BaseModule
from torch import Tensor

import mmdet.ops as ops
from mmdet.models.builder import ROI_EXTRACTORS
from mmdet.ops.compiled import compiled_ops
from mmdet.utils.configs.config_error import building
from mmdet.utils.registry import build_from_cfg, did_you_mean
from mmdet.utils.running.device_copy import tensor_like


class BaseRoIExtractor(BaseModule, metaclass=ABCMeta):
    """Base of the RoI feature extractors.

    Args:
        roi_layer: ``dict(type=NAME, ...)``, NAME being a layer of ``mmdet.ops`` or else of a compiled
            ``mmcv.ops``, such as ``'RoIAlign'``.
        out_channels: channels of the pooled features.
        featmap_strides: stride of each feature map in pixels of the network input.
        init_cfg: initialisation of the parameters, if any.
    """

    def __init__(
        self,
        roi_layer: dict,
        out_channels: int,
        featmap_strides: Sequence[int],
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.roi_layers = self.build_roi_layers(roi_layer, featmap_strides)
        self.out_channels = out_channels
        self.featmap_strides = featmap_strides

    @property
    def num_inputs(self) -> int:
        """Number of feature maps that :meth:`forward` takes."""
        return len(self.featmap_strides)

    def build_roi_layers(self, layer_cfg: dict, featmap_strides: Sequence[int]) -> nn.ModuleList:
        """One pooling layer for each stride.

        Raises:
            KeyError: neither ``mmdet.ops`` nor a compiled ``mmcv.ops`` has a layer of that name.
            TypeError: the layer has no such argument.
        """
        name = layer_cfg['type']
        # layers of mmdet.ops go before: they run wherever torch does, a compiled mmcv only adds to them
        known = {**vars(compiled_ops() or ops), **vars(ops)}
        layers = {key: value for key, value in known.items() if isinstance(value, type)}
        if name not in layers:
            raise KeyError(f'roi_layer: mmdet.ops has no layer {name!r}{did_you_mean(name, layers)}')
        settings = {**layer_cfg, 'type': layers[name]}
        with building(layer_cfg):
            return nn.ModuleList(
                build_from_cfg(settings, ROI_EXTRACTORS, dict(spatial_scale=1 / stride)) for stride in featmap_strides
            )

    def roi_rescale(self, rois: Tensor, scale_factor: float | tuple[float, float]) -> Tensor:
        """Scale RoIs about their centres.

        Args:
            rois: (n, 5), image index, then xyxy px.
            scale_factor: of both sides, or (of heights, of widths).

        Returns:
            (n, 5).
        """
        h_scale, w_scale = scale_factor if isinstance(scale_factor, Sequence) else (scale_factor, scale_factor)
        centre = (rois[:, 1:3] + rois[:, 3:5]) / 2
        half_size = (rois[:, 3:5] - rois[:, 1:3]) * tensor_like([w_scale, h_scale], rois) / 2
        return torch.cat([rois[:, :1], centre - half_size, centre + half_size], dim=1)

    @abstractmethod
    def forward(
        self, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | tuple[float, float] | None = None
    ) -> Tensor:
        """Feature maps (N, C, H_l, W_l) and RoIs (n, 5) -> (n, out_channels, h, w)."""
