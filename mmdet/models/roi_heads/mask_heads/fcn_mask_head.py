"""The mask head of Mask R-CNN (https://arxiv.org/abs/1703.06870)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmcv.cnn import ConvModule, build_conv_layer, build_upsample_layer
from mmcv.runner import BaseModule
from mmcv.utils import to_2tuple
from torch import Tensor

from mmdet.core.mask.mask_target import mask_target
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.roi_heads.functional.compat import attached_zero
from mmdet.models.roi_heads.mask_heads.paste import EXACT, image_masks, masks_of_labels, paste_masks
from mmdet.models.roi_heads.mask_heads.paste import paste_masks as _do_paste_mask  # noqa: F401 - the name that mmdetection 2.x code imports
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.device_copy import tensor_like

# Defaults of the constructor, which are part of its signature; never written to.
DECONV = dict(type='deconv', scale_factor=2)
CONV = dict(type='Conv')
LOSS_MASK = dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0)

UPSAMPLINGS = ('deconv', 'nearest', 'bilinear', 'carafe')


@HEADS.register_module()
class FCNMaskHead(BaseModule):
    """Convolutions, an upsampling, and one mask for each class.

    Args:
        num_convs: number of convolutions.
        roi_feat_size: height and width of the RoI features, or one number for both.
        in_channels: channels of the RoI features.
        conv_kernel_size: of the convolutions.
        conv_out_channels: channels of the convolutions.
        num_classes: number of classes K.
        class_agnostic: one mask instead of one for each class.
        upsample_cfg: ``type`` None, 'deconv', 'nearest', 'bilinear' or 'carafe', and ``scale_factor``.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        predictor_cfg: kind of the last layer.
        loss_mask: the loss.
        init_cfg: must stay None: the head initialises itself.

    Raises:
        ValueError: unknown upsampling, or ``init_cfg`` given.
    """

    directive_head, directive_fallback = 'mask_head', 'roi_head'

    def __init__(
        self,
        num_convs: int = 4,
        roi_feat_size: int | tuple[int, int] = 14,
        in_channels: int = 256,
        conv_kernel_size: int = 3,
        conv_out_channels: int = 256,
        num_classes: int = 80,
        class_agnostic: bool = False,
        upsample_cfg: dict = DECONV,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        predictor_cfg: dict = CONV,
        loss_mask: dict = LOSS_MASK,
        init_cfg: dict | None = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f'{type(self).__name__} initialises itself; init_cfg must be None, got {init_cfg!r}')
        super().__init__(init_cfg)
        self.debug_imgs = None  # users' code puts images here to look at
        self.upsample_cfg = upsample_cfg
        self.upsample_method = upsample_cfg.get('type')
        self.scale_factor = upsample_cfg.get('scale_factor')
        if self.upsample_method not in (None, *UPSAMPLINGS):
            raise ValueError(
                f'upsample_cfg: type must be None or one of {UPSAMPLINGS}, got {self.upsample_method!r}'
                f'{did_you_mean(str(self.upsample_method), UPSAMPLINGS)}'
            )
        self.num_convs = num_convs
        self.roi_feat_size = to_2tuple(roi_feat_size)
        self.in_channels = in_channels
        self.conv_kernel_size = conv_kernel_size
        self.conv_out_channels = conv_out_channels
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.predictor_cfg = predictor_cfg
        self.loss_mask = build_loss(loss_mask)

        self.convs = self._build_convs()
        channels = conv_out_channels if num_convs > 0 else in_channels
        self.upsample = self._build_upsample(upsample_cfg, channels)
        self.conv_logits = build_conv_layer(
            predictor_cfg,
            conv_out_channels if self.upsample_method == 'deconv' else channels,
            1 if class_agnostic else num_classes,
            1,
        )
        self.relu = nn.ReLU(inplace=True)

    def _build_convs(self) -> nn.ModuleList:
        """The convolutions; they keep the size of the feature map."""
        widths = [self.in_channels] + [self.conv_out_channels] * self.num_convs
        return nn.ModuleList(
            ConvModule(
                width_in,
                width_out,
                self.conv_kernel_size,
                padding=(self.conv_kernel_size - 1) // 2,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
            )
            for width_in, width_out in zip(widths, widths[1:])
        )

    def _build_upsample(self, upsample_cfg: dict, channels: int) -> nn.Module | None:
        """The layer that enlarges the feature map by ``scale_factor``, or None."""
        settings = dict(upsample_cfg)
        if self.upsample_method is None:
            return None
        if self.upsample_method == 'deconv':
            stride = settings.pop('scale_factor')
            settings.update(
                in_channels=channels, out_channels=self.conv_out_channels, kernel_size=stride, stride=stride
            )
        elif self.upsample_method == 'carafe':
            settings.update(channels=channels)
        else:
            settings.update(
                mode=self.upsample_method, align_corners=None if self.upsample_method == 'nearest' else False
            )
        return build_upsample_layer(settings)

    def init_weights(self) -> None:
        """Kaiming normal weights and no bias for the last layers."""
        super().init_weights()
        layers: list[Any] = [self.upsample, self.conv_logits]
        for layer in layers:
            if hasattr(layer, 'init_weights'):
                layer.init_weights()
            elif getattr(layer, 'weight', None) is not None:
                nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """RoI features (n, C, h, w) -> logits (n, K, s h, s w), K = 1 when class agnostic, s the scale factor."""
        for conv in self.convs:
            x = conv(x)
        if self.upsample is not None:
            x = self.upsample(x)
            if self.upsample_method == 'deconv':
                x = self.relu(x)
        return self.conv_logits(x)

    def get_targets(self, sampling_results: Sequence[Any], gt_masks: list[Any], rcnn_train_cfg: Any) -> Tensor:
        """Masks of the positives' objects, cut out and resized to the size of the prediction.

        Args:
            sampling_results: one for each of N images, p positives in all.
            gt_masks: mask structures of the N images.
            rcnn_train_cfg: has ``mask_size``, an int or (h, w).

        Returns:
            (p, h, w), values 0 and 1.
        """
        pos_proposals = [res.pos_bboxes for res in sampling_results]
        pos_assigned_gt_inds = [res.pos_assigned_gt_inds for res in sampling_results]
        return mask_target(pos_proposals, pos_assigned_gt_inds, gt_masks, rcnn_train_cfg)

    def loss(
        self, mask_pred: Tensor, mask_targets: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``loss_mask`` of p positives; a zero in the graph where there are none.

        Args:
            mask_pred: (p, K, h, w) logits, K = 1 when class agnostic.
            mask_targets: (p, h, w).
            labels: (p,) in ``[0, K)``.
            weights: (p,) factor of each mask; the mean is over all of them, whatever their weights.
        """
        if not len(mask_pred):
            return dict(loss_mask=attached_zero(mask_pred))
        # only the mask of the right class learns: classes do not compete for pixels
        channels = torch.zeros_like(labels) if self.class_agnostic else labels
        rows = {} if weights is None else dict(row_weights=weights)
        return dict(loss_mask=self.loss_mask(mask_pred, mask_targets, channels, **rows))

    def onnx_export(
        self,
        mask_pred: Tensor,
        det_bboxes: Tensor,
        det_labels: Tensor,
        rcnn_test_cfg: Any,
        ori_shape: Sequence[int],
        **kwargs: Any,
    ) -> Tensor:
        """Masks (n, H, W) bool of an image's size, from logits (n, K, h, w), boxes (n, 4 or 5) px and labels (n,).

        Args:
            mask_pred, det_bboxes, det_labels: of the detections.
            rcnn_test_cfg: has ``mask_thr_binary``.
            ori_shape: (H, W).
            kwargs: not used.
        """
        masks = masks_of_labels(mask_pred, det_labels)[:, None].sigmoid()
        pasted, _ = paste_masks(masks, det_bboxes[:, :4], ori_shape[0], ori_shape[1], skip_empty=False)
        return pasted >= rcnn_test_cfg.mask_thr_binary

    def get_seg_masks(
        self,
        mask_pred: Tensor | np.ndarray,
        det_bboxes: Tensor,
        det_labels: Tensor,
        rcnn_test_cfg: Any,
        ori_shape: Sequence[int],
        scale_factor: Any,
        rescale: bool,
    ) -> list[list[np.ndarray]]:
        """Masks of one image's detections.

        Args:
            mask_pred: (n, K, h, w) logits, or (n, 1, h, w), one mask whatever the label; an array holds scores in
                [0, 1].
            det_bboxes: (n, 4) or (n, 5) xyxy px of the network input.
            det_labels: (n,) in ``[0, K)``.
            rcnn_test_cfg: has ``mask_thr_binary``; negative keeps soft masks. It may have ``mask_pasting``: 'exact'
                (default) or 'whole_pixels', as torchvision.
            ori_shape: (h, w, ...) of the original image.
            scale_factor: network input / original image, a number or (w, h, w, h).
            rescale: give masks of the original image's size; otherwise of that size times ``scale_factor``.

        Returns:
            For each of ``num_classes`` classes a list of arrays (H, W), bool, or uint8 for soft masks.
        """
        if isinstance(mask_pred, Tensor):
            mask_pred = masks_of_labels(mask_pred, det_labels)[:, None].sigmoid()
        else:
            mask_pred = masks_of_labels(tensor_like(mask_pred, det_bboxes), det_labels)[:, None]
        scale = torch.as_tensor(scale_factor, dtype=torch.float32).expand(4)
        bboxes = det_bboxes[:, :4]
        if rescale:
            bboxes = bboxes / scale.to(bboxes.device, non_blocking=True)
        img_h, img_w = ori_shape[:2]
        if not rescale:
            w_scale, h_scale = scale[:2].tolist()
            img_h, img_w = round(img_h * h_scale), round(img_w * w_scale)
        pasting = getattr(rcnn_test_cfg, 'mask_pasting', EXACT)
        masks = image_masks(mask_pred, bboxes, img_h, img_w, rcnn_test_cfg.mask_thr_binary, pasting)
        by_class: list[list[np.ndarray]] = [[] for _ in range(self.num_classes)]
        for label, mask in zip(det_labels.tolist(), masks):
            by_class[label].append(mask)
        return by_class
