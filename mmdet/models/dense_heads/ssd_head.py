"""The head of SSD (https://arxiv.org/abs/1512.02325)."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmdet.core.bbox.assigners.assign_result import rows_of
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import DELTA_CODER, AnchorHead
from mmdet.models.dense_heads.functional.rows import rows_of_images, to_full_precision
from mmdet.models.losses.smooth_l1_loss import smooth_l1_loss

# Default arguments; every builder copies them.
IN_CHANNELS = (512, 1024, 512, 256, 256, 256)
SSD300_ANCHORS = dict(
    type='SSDAnchorGenerator',
    scale_major=False,
    input_size=300,
    strides=(8, 16, 32, 64, 100, 300),
    ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    basesize_ratio_range=(0.1, 0.9),
)
XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform', bias=0)
SOFTMAX_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=False)


class FlatBatch(NamedTuple):
    """A batch of N images with R anchors each."""

    scores: Tensor  # (N, R, K + 1)
    deltas: Tensor  # (N, R, 4)
    anchors: Tensor  # (N, R, 4)
    labels: Tensor  # (N, R)
    label_weights: Tensor  # (N, R)
    bbox_targets: Tensor  # (N, R, 4)
    bbox_weights: Tensor  # (N, R, 4)
    num_pos: int  # divisor of the losses
    sampling_results: list  # one of each image


def hardest_negatives(losses: Tensor, labels: Tensor, num_classes: int, ratio: float) -> Tensor:
    """Sum of the losses of positives and of the hardest negatives of one image.

    Args:
        losses: (R,).
        labels: (R,) in [0, K], K for background.
        num_classes: K.
        ratio: negatives for each positive, at most.
    """
    positives, negatives = rows_of([labels < num_classes, labels == num_classes])
    count = min(int(ratio * len(positives)), len(negatives))
    return losses[positives].sum() + losses[negatives].topk(count).values.sum()


@HEADS.register_module()
class SSDHead(AnchorHead):
    """Scores with background and box deltas, from convolutions of each level's own.

    ``train_cfg`` has, beside the keys of :class:`AnchorHead`, ``neg_pos_ratio`` (hardest negatives for each positive)
    and ``smoothl1_beta`` (of the box loss).

    Args:
        num_classes: K, without background.
        in_channels: channels of each level.
        stacked_convs: 3x3 convolutions before the predicting ones.
        feat_channels: channels of these.
        use_depthwise: depthwise separable convolutions, as in SSDLite.
        conv_cfg: kind of the convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each but the predicting ones; None: none.
        act_cfg: activation after each but the predicting ones; None: none.
        anchor_generator: config of the prior generator.
        bbox_coder: config of the coder between boxes and deltas.
        reg_decoded_bbox: the box loss compares boxes in pixels.
        train_cfg: see above.
        test_cfg: see :meth:`BaseDenseHead.get_bboxes`.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        num_classes: int = 80,
        in_channels: Sequence[int] = IN_CHANNELS,
        stacked_convs: int = 0,
        feat_channels: int = 256,
        use_depthwise: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        anchor_generator: dict = SSD300_ANCHORS,
        bbox_coder: dict = DELTA_CODER,
        reg_decoded_bbox: bool = False,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = XAVIER,
    ) -> None:
        self.stacked_convs = stacked_convs
        self.use_depthwise = use_depthwise
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.cls_focal_loss = False  # the hardest negatives are picked instead
        super().__init__(
            num_classes,
            cast(int, in_channels),  # one a level; no other layers than those of _init_layers read them
            feat_channels,
            anchor_generator,
            bbox_coder,
            reg_decoded_bbox,
            loss_cls=SOFTMAX_LOSS,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        self.num_base_priors = self.prior_generator.num_base_priors  # the levels differ

    def _init_layers(self) -> None:
        priors, channels = self.prior_generator.num_base_priors, cast(Sequence[int], self.in_channels)
        self.cls_convs, self.reg_convs = (
            nn.ModuleList(self._build_level(inputs, anchors, width) for inputs, anchors in zip(channels, priors))
            for width in (self.cls_out_channels, 4)
        )

    def _build_level(self, channels: int, num_priors: int, width: int) -> nn.Sequential:
        """Layers of one level that predict ``width`` numbers for each anchor."""
        layer = dict(padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        conv = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        layers = []
        for _ in range(self.stacked_convs):
            layers.append(conv(channels, self.feat_channels, 3, **layer))
            channels = self.feat_channels
        if self.use_depthwise:
            # SSDLite's predictor is a depthwise separable convolution whose second half, the prediction, has no norm
            layers.append(ConvModule(channels, channels, 3, groups=channels, **layer))
        kernel = 1 if self.use_depthwise else 3
        layers.append(nn.Conv2d(channels, num_priors * width, kernel, padding=kernel // 2))
        return nn.Sequential(*layers)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """L feature maps -> class scores (N, A * (K + 1), H, W) and box deltas (N, A * 4, H, W) of each level."""
        levels = zip(feats, self.cls_convs, self.reg_convs)
        cls_scores, bbox_preds = zip(*((cls_conv(x), reg_conv(x)) for x, cls_conv, reg_conv in levels))
        return list(cls_scores), list(bbox_preds)

    def loss_single(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        anchor: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        num_total_samples: int,
    ) -> tuple[Tensor, Tensor]:
        """Losses of one image.

        Args:
            cls_score: (R, K + 1).
            bbox_pred: (R, 4).
            anchor: (R, 4).
            labels: (R,).
            label_weights: (R,).
            bbox_targets: (R, 4).
            bbox_weights: (R, 4).
            num_total_samples: divisor.

        Returns:
            classification loss (1,) and box loss.
        """
        losses = self.loss_cls(cls_score, labels, label_weights, reduction_override='none')
        loss_cls = hardest_negatives(losses, labels, self.num_classes, self.train_cfg.neg_pos_ratio)
        if self.reg_decoded_bbox:
            bbox_pred = self.bbox_coder.decode(anchor, bbox_pred)
        loss_bbox = smooth_l1_loss(
            bbox_pred,
            bbox_targets,
            bbox_weights,
            beta=self.train_cfg.smoothl1_beta,
            avg_factor=num_total_samples,
        )
        # (1,), not a scalar, as 2.x logs it; each image picks its negatives for itself, so that losses are by image
        return loss_cls[None] / num_total_samples, loss_bbox

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls`` and ``loss_bbox``, one tensor an image each; arguments as of :meth:`AnchorHead.loss`."""
        batch = self._flat_batch(cls_scores, bbox_preds, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        return self._losses_of_images(batch)

    def _flat_batch(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None,
    ) -> FlatBatch:
        """Predictions and targets of a batch, its levels joined; arguments as of :meth:`loss`."""
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        truth = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        anchors, found = self.targets_of_maps(cls_scores, *truth, label_channels=1, return_sampling_results=True)
        *targets, num_pos, _, sampling_results = found[:7]
        cls_scores, targets[1] = self.score_maps_for_loss(cls_scores, targets[0], targets[1], img_metas)
        scores, deltas = (
            rows_of_images(maps, width) for maps, width in ((cls_scores, self.cls_out_channels), (bbox_preds, 4))
        )
        flat_anchors = torch.stack([torch.cat(image) for image in anchors])
        rows = Targets(*(torch.cat(target, dim=1) for target in targets))
        return FlatBatch(scores, deltas, flat_anchors, *rows, *(num_pos, sampling_results))

    def _losses_of_images(self, batch: FlatBatch) -> dict[str, list[Tensor]]:
        """:meth:`loss_single` of each image."""
        losses_cls, losses_bbox = multi_apply(self.loss_single, *batch[:7], num_total_samples=batch.num_pos)
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox)
