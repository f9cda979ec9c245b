"""The keypoint head of Mask R-CNN (https://arxiv.org/abs/1703.06870, section 5)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.keypoint import DecodedKeypoints, decode_heatmaps, get_skeleton, keypoint_targets
from mmdet.models.builder import HEADS, build_loss
from mmdet.utils.registry import did_you_mean

# Defaults of the constructor, which are part of its signature; never written to.
LOSS_KEYPOINT = dict(type='CrossEntropyLoss', loss_weight=1.0)
INIT_CFG = [
    dict(
        type='Kaiming', layer=['Conv2d', 'ConvTranspose2d'], mode='fan_out', nonlinearity='relu', distribution='normal'
    )
]

NORMALISERS = ('visible', 'static')
DECONV_SCALE = 2  # of the deconvolution: kernel 4, stride 2, padding 1


class KeypointTargets(NamedTuple):
    """What the heat maps of n RoIs are to show."""

    positions: Tensor  # (n, K) long, row * size + column; 0 where not valid
    valid: Tensor  # (n, K) bool, the point is labelled and inside its RoI


@HEADS.register_module()
class FCNKeypointHead(BaseModule):
    """Convolutions, a deconvolution to one map for each keypoint, and a bilinear enlargement.

    Args:
        num_keypoints: number of keypoints K.
        num_convs: number of 3x3 convolutions, each with ReLU.
        roi_feat_size: height and width of the RoI features; the heat maps are ``2 * up_scale`` times as large.
        in_channels: channels of the RoI features.
        conv_out_channels: channels of the convolutions.
        up_scale: factor of the bilinear enlargement.
        loss_normaliser: what the summed loss is divided by. 'visible': the number of points that count in the batch;
            'static': sampled positives of a full batch times K (images x ``sampler.num`` x ``sampler.pos_fraction`` x
            K), so that images with fewer visible points weigh less.
        skeleton: the keypoints, see :func:`mmdet.core.keypoint.get_skeleton`; for flipped views and pictures.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        loss_keypoint: the loss, a cross entropy over the positions of a heat map.
        init_cfg: initialisation.

    Raises:
        ValueError: an unknown normaliser, or a skeleton with another number of keypoints.
    """

    directive_head, directive_fallback = 'keypoint_head', 'roi_head'

    def __init__(
        self,
        num_keypoints: int = 17,
        num_convs: int = 8,
        roi_feat_size: int = 14,
        in_channels: int = 256,
        conv_out_channels: int = 512,
        up_scale: int = 2,
        loss_normaliser: str = 'visible',
        skeleton: str | dict = 'coco_person',
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        loss_keypoint: dict = LOSS_KEYPOINT,
        init_cfg: dict | list | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        if loss_normaliser not in NORMALISERS:
            raise ValueError(
                f'loss_normaliser must be one of {NORMALISERS}, got {loss_normaliser!r}'
                f'{did_you_mean(str(loss_normaliser), NORMALISERS)}'
            )
        self.skeleton = get_skeleton(skeleton)
        if len(self.skeleton.names) != num_keypoints:
            raise ValueError(f'num_keypoints={num_keypoints}, but the skeleton has {len(self.skeleton.names)} points')
        self.num_keypoints = num_keypoints
        self.roi_feat_size = roi_feat_size
        self.up_scale = up_scale
        self.loss_normaliser = loss_normaliser
        self.loss_keypoint = build_loss(loss_keypoint)
        widths = [in_channels] + [conv_out_channels] * num_convs
        self.convs = nn.ModuleList(
            ConvModule(width_in, width_out, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg)
            for width_in, width_out in zip(widths, widths[1:])
        )
        self.upsample = nn.ConvTranspose2d(widths[-1], num_keypoints, 4, stride=DECONV_SCALE, padding=1)

    @property
    def heatmap_size(self) -> int:
        """Rows and columns of the heat maps."""
        return self.roi_feat_size * DECONV_SCALE * self.up_scale

    def forward(self, x: Tensor) -> Tensor:
        """RoI features (n, C, h, w) -> heat maps (n, K, H, W), logits."""
        for conv in self.convs:
            x = conv(x)
        x = self.upsample(x)
        size = (x.shape[2] * self.up_scale, x.shape[3] * self.up_scale)
        return F.interpolate(x, size=size, mode='bilinear', align_corners=False)

    @torch.no_grad()
    def get_targets(self, sampling_results: Sequence[Any], gt_keypoints: Sequence[Tensor]) -> KeypointTargets:
        """Targets of the positives of N images, one image behind the other.

        Args:
            sampling_results: one for each image.
            gt_keypoints: N times (g_i, K, 3) x, y px of the network's input, visibility.
        """
        boxes = torch.cat([res.pos_bboxes for res in sampling_results])
        keypoints = torch.cat([kps[res.pos_assigned_gt_inds] for res, kps in zip(sampling_results, gt_keypoints)])
        return KeypointTargets(*keypoint_targets(keypoints, boxes, self.heatmap_size))

    def loss(
        self,
        keypoint_pred: Tensor,
        targets: KeypointTargets,
        num_images: int = 1,
        train_cfg: Any = None,
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """``loss_keypoint``: cross entropy over the positions of each map, of the points that count.

        Without such points, or without RoIs, it is a zero in the graph of the predictions.

        Args:
            keypoint_pred: (n, K, H, W) logits.
            targets: of the same RoIs.
            num_images: images of the batch; for the static normaliser.
            train_cfg: of the RoI head, with its ``sampler``; for the static normaliser.
            weights: (n,) how much each RoI counts; the divisor does not depend on them.
        """
        counts = targets.valid.float()
        if weights is not None:
            counts = counts * weights[:, None]
        # no selection of rows: its size would have to be fetched from the device
        loss = self.loss_keypoint(
            keypoint_pred.flatten(2).flatten(0, 1),
            targets.positions.flatten(),
            counts.flatten(),
            avg_factor=self._normaliser(targets.valid, num_images, train_cfg),
        )
        return dict(loss_keypoint=loss)

    def _normaliser(self, valid: Tensor, num_images: int, train_cfg: Any) -> Tensor | float:
        if self.loss_normaliser == 'visible':
            return valid.sum().clamp(min=1).float()
        sampler = (train_cfg or {}).get('sampler') or {}
        if 'num' not in sampler or 'pos_fraction' not in sampler:
            raise ValueError(
                "loss_normaliser='static' needs num and pos_fraction of train_cfg.rcnn.sampler, got "
                f"{dict(sampler)}; use loss_normaliser='visible' with other samplers"
            )
        return float(num_images * sampler['num'] * sampler['pos_fraction'] * self.num_keypoints)

    def get_keypoints(self, keypoint_pred: Tensor, boxes: Tensor) -> DecodedKeypoints:
        """Heat maps (n, K, H, W) of boxes (n, 4) px -> the best point of each, px."""
        return decode_heatmaps(keypoint_pred, boxes)
