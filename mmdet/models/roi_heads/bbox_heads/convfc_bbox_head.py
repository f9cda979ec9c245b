"""Box heads with convolutions and fully connected layers before the predictions."""

from typing import Any

import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.utils.lean_linear import lean_linear


@HEADS.register_module()
class ConvFCBBoxHead(BBoxHead):
    """Layers shared by both branches, then layers of each branch, then the predictions::

                                    /-> cls convs -> cls fcs -> classes
        shared convs -> shared fcs
                                    \\-> reg convs -> reg fcs -> boxes

    Args:
        num_shared_convs, num_shared_fcs: layers that both branches share.
        num_cls_convs, num_cls_fcs: layers of the classification branch.
        num_reg_convs, num_reg_fcs: layers of the box branch.
        conv_out_channels: channels of the 3x3 convolutions.
        fc_out_channels: features of the fully connected layers.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        init_cfg: initialisation; by default Xavier for the fully connected layers.
        args, kwargs: those of :class:`BBoxHead`.

    Raises:
        ValueError: no layer at all, layers for a branch that is not there, or convolutions of a branch after shared
            fully connected layers.
    """

    has_static_shapes = True

    def __init__(
        self,
        num_shared_convs: int = 0,
        num_shared_fcs: int = 0,
        num_cls_convs: int = 0,
        num_cls_fcs: int = 0,
        num_reg_convs: int = 0,
        num_reg_fcs: int = 0,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        settings: dict[str, Any] = dict(init_cfg=init_cfg, **kwargs)
        super().__init__(*args, **settings)
        self.num_shared_convs, self.num_shared_fcs = num_shared_convs, num_shared_fcs
        self.num_cls_convs, self.num_cls_fcs = num_cls_convs, num_cls_fcs
        self.num_reg_convs, self.num_reg_fcs = num_reg_convs, num_reg_fcs
        self._check_layer_numbers()
        self.conv_out_channels, self.fc_out_channels = conv_out_channels, fc_out_channels
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg

        self.shared_convs, self.shared_fcs, shared = self._add_conv_fc_branch(
            num_shared_convs, num_shared_fcs, self.in_channels, is_shared=True
        )
        self.shared_out_channels = shared
        self.cls_convs, self.cls_fcs, self.cls_last_dim = self._add_conv_fc_branch(num_cls_convs, num_cls_fcs, shared)
        self.reg_convs, self.reg_fcs, self.reg_last_dim = self._add_conv_fc_branch(num_reg_convs, num_reg_fcs, shared)
        if num_shared_fcs == 0 and not self.with_avg_pool:  # a branch without fc layers flattens its feature map
            self.cls_last_dim *= 1 if num_cls_fcs else self.roi_feat_area
            self.reg_last_dim *= 1 if num_reg_fcs else self.roi_feat_area
        self.relu = nn.ReLU(inplace=True)
        self._build_predictors(self.cls_last_dim, self.reg_last_dim)
        if init_cfg is None:
            names = ('shared_fcs', 'cls_fcs', 'reg_fcs')
            self.init_cfg += [dict(type='Xavier', distribution='uniform', override=[dict(name=name) for name in names])]

    def _check_layer_numbers(self) -> None:
        cls_layers, reg_layers = self.num_cls_convs + self.num_cls_fcs, self.num_reg_convs + self.num_reg_fcs
        if self.num_shared_convs + self.num_shared_fcs + cls_layers + reg_layers == 0:
            raise ValueError(f'{type(self).__name__} has no layers; use BBoxHead for that')
        if self.num_shared_fcs > 0 and self.num_cls_convs + self.num_reg_convs > 0:
            raise ValueError('num_cls_convs and num_reg_convs must be 0 after shared fully connected layers')
        for branch, there, layers in (('cls', self.with_cls, cls_layers), ('reg', self.with_reg, reg_layers)):
            if layers and not there:
                raise ValueError(f'num_{branch}_convs and num_{branch}_fcs must be 0 when with_{branch} is False')

    def _add_conv_fc_branch(
        self, num_branch_convs: int, num_branch_fcs: int, in_channels: int, is_shared: bool = False
    ) -> tuple[nn.ModuleList, nn.ModuleList, int]:
        """Convolutions, then fully connected layers.

        Returns:
            The convolutions, the fully connected layers, and the channels (or features) that come out.
        """
        channels = in_channels
        convs = nn.ModuleList()
        for _ in range(num_branch_convs):
            convs.append(
                ConvModule(
                    channels, self.conv_out_channels, 3, padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg
                )
            )
            channels = self.conv_out_channels
        fcs = nn.ModuleList()
        if num_branch_fcs and (is_shared or self.num_shared_fcs == 0) and not self.with_avg_pool:
            channels *= self.roi_feat_area  # the first fc layer takes the flattened feature map
        for _ in range(num_branch_fcs):
            fcs.append(nn.Linear(channels, self.fc_out_channels))
            channels = self.fc_out_channels
        return convs, fcs, channels

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """RoI features (n, C, h, w) -> logits (n, K + 1) and box codes (n, 4 K), or (n, 4) when class agnostic."""
        for conv in self.shared_convs:
            x = conv(x)
        if self.num_shared_fcs > 0:
            x = self._fully_connected(self._to_vectors(x), self.shared_fcs)
        x_cls = self._branch(x, self.cls_convs, self.cls_fcs)
        x_reg = self._branch(x, self.reg_convs, self.reg_fcs)
        return self.fc_cls(x_cls) if self.with_cls else None, self.fc_reg(x_reg) if self.with_reg else None

    def _branch(self, x: Tensor, convs: nn.ModuleList, fcs: nn.ModuleList) -> Tensor:
        """Feature maps (n, C, h, w), or vectors (n, F), -> vectors."""
        for conv in convs:
            x = conv(x)
        return self._fully_connected(self._to_vectors(x) if x.dim() > 2 else x, fcs)

    def _to_vectors(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> (n, C * h * w), or (n, C) with average pooling."""
        return (self.avg_pool(x) if self.with_avg_pool else x).flatten(1)

    @staticmethod
    def _fully_connected(x: Tensor, fcs: nn.ModuleList) -> Tensor:
        for i, fc in enumerate(fcs):
            x = F.relu(lean_linear(fc, x) if i == 0 else fc(x))
        return x


@HEADS.register_module()
class Shared2FCBBoxHead(ConvFCBBoxHead):
    """Two shared fully connected layers: the box head of Faster R-CNN with FPN."""

    has_static_shapes = True

    def __init__(self, fc_out_channels: int = 1024, *args: Any, **kwargs: Any) -> None:
        layers: dict[str, Any] = dict(num_shared_fcs=2, fc_out_channels=fc_out_channels, **kwargs)
        super().__init__(*args, **layers)


@HEADS.register_module()
class Shared4Conv1FCBBoxHead(ConvFCBBoxHead):
    """Four shared convolutions and one fully connected layer."""

    has_static_shapes = True

    def __init__(self, fc_out_channels: int = 1024, *args: Any, **kwargs: Any) -> None:
        layers: dict[str, Any] = dict(num_shared_convs=4, num_shared_fcs=1, fc_out_channels=fc_out_channels, **kwargs)
        super().__init__(*args, **layers)
