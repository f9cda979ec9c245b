"""VarifocalNet: scores that say how well the box fits, from features at nine points of the box (arXiv:2008.13367)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule, Scale
from torch import Tensor, nn

from mmdet.core.anchor.builder import build_prior_generator
from mmdet.core.anchor.point_generator import MlvlPointGenerator
from mmdet.core.bbox.builder import build_assigner
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead, numbers_of_objects
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.fcos_head import REGRESS_RANGES, FCOSHead
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.dense_heads.functional.old_names import old_name
from mmdet.models.dense_heads.functional.points.box_losses import iou_weighted_loss
from mmdet.models.dense_heads.functional.points.star_points import kernel_points, star_offsets
from mmdet.models.dense_heads.functional.rows import positive_rows, sizes_of_maps, to_full_precision
from mmdet.models.dense_heads.functional.towers import FOCAL_LOSS, GROUP_NORM, rare_classes
from mmdet.ops import DeformConv2d

# Default arguments; every builder copies them.
VARIFOCAL_LOSS = dict(type='VarifocalLoss', use_sigmoid=True, alpha=0.75, gamma=2.0, iou_weighted=True, loss_weight=1.0)
FIRST_BOX_LOSS = dict(type='GIoULoss', loss_weight=1.5)
REFINED_BOX_LOSS = dict(type='GIoULoss', loss_weight=2.0)
SQUARES = dict(
    type='AnchorGenerator',
    ratios=[1.0],
    octave_base_scale=8,
    scales_per_octave=1,
    center_offset=0.0,
    strides=[8, 16, 32, 64, 128],
)
BOX_NORMS = ('reg_denom', 'stride')


@HEADS.register_module()
class VFNetHead(ATSSHead, FCOSHead):
    """Distances to the sides, refined once, and class scores whose target is the IoU of the refined box.

    Everything that is no positive is a negative, points over the padding included: the varifocal loss takes all
    points, whatever weight the assigner gives them. Its targets are soft for positives only.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        regress_ranges: for each level the least and greatest distance in pixels; without ATSS they choose the level.
        center_sampling: only points near an object's centre predict it; without ATSS.
        center_sample_radius: how near, in strides.
        sync_num_pos: divide the classification loss by the mean number of positives of all processes.
        gradient_mul: part of the gradient that the first boxes get from the positions where features are read.
        bbox_norm_type: unit of the first distances, ``'reg_denom'`` (upper end of the level's range) or ``'stride'``.
        loss_cls_fl: config of the classification loss without varifocal loss.
        use_vfl: use ``loss_cls``, whose targets are IoUs, otherwise ``loss_cls_fl``, whose targets are classes.
        loss_cls: config of the varifocal loss.
        loss_bbox: config of the loss of the first boxes.
        loss_bbox_refine: config of the loss of the refined boxes.
        norm_cfg: normalisation in the towers.
        use_atss: assign by ATSS, otherwise as FCOS does.
        reg_decoded_bbox: must be True: the targets are boxes.
        anchor_generator: config of the anchors of ATSS, one a cell.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorFreeHead`.

    Raises:
        ValueError: ``bbox_norm_type`` is neither of the two, or ``reg_decoded_bbox`` is False.
    """

    centerness_target: Any = ATSSHead.centerness_target  # both parents have one; neither is asked here

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        regress_ranges: Sequence[tuple[float, float]] = REGRESS_RANGES,
        center_sampling: bool = False,
        center_sample_radius: float = 1.5,
        sync_num_pos: bool = True,
        gradient_mul: float = 0.1,
        bbox_norm_type: str = 'reg_denom',
        loss_cls_fl: dict = FOCAL_LOSS,
        use_vfl: bool = True,
        loss_cls: dict = VARIFOCAL_LOSS,
        loss_bbox: dict = FIRST_BOX_LOSS,
        loss_bbox_refine: dict = REFINED_BOX_LOSS,
        norm_cfg: dict | None = GROUP_NORM,
        use_atss: bool = True,
        reg_decoded_bbox: bool = True,
        anchor_generator: dict = SQUARES,
        init_cfg: dict | list | None = rare_classes('vfnet_cls'),  # noqa: B008 - the builder copies it
        **kwargs: Any,
    ) -> None:
        if bbox_norm_type not in BOX_NORMS:
            raise ValueError(f'bbox_norm_type: expected one of {BOX_NORMS}, got {bbox_norm_type!r}')
        if not reg_decoded_bbox:
            raise ValueError('VFNetHead: reg_decoded_bbox must be True, as the targets are boxes')
        self.regress_ranges = regress_ranges
        # the last range has no upper end: twice the one before
        self.reg_denoms = [upper for _, upper in regress_ranges[:-1]] + [2 * regress_ranges[-2][1]]
        self.center_sampling = center_sampling
        self.center_sample_radius = center_sample_radius
        self.norm_on_bbox, self.sync_num_pos = False, sync_num_pos
        self.gradient_mul = gradient_mul
        self.bbox_norm_type = bbox_norm_type
        self.use_vfl = use_vfl
        self.use_atss = use_atss
        self.reg_decoded_bbox = reg_decoded_bbox
        AnchorFreeHead.__init__(
            self,
            num_classes,
            in_channels,
            loss_cls=loss_cls if use_vfl else loss_cls_fl,
            loss_bbox=loss_bbox,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.loss_bbox_refine = build_loss(loss_bbox_refine)
        self._init_assigner(anchor_generator)

    def _init_assigner(self, anchor_generator: dict) -> None:
        """Make the points, the squares that ATSS compares with the objects, and the assigner."""
        self.anchor_center_offset = anchor_generator['center_offset']
        self.atss_prior_generator = build_prior_generator(anchor_generator)
        offset = self.anchor_center_offset if self.use_atss else 0.5
        self.fcos_prior_generator = MlvlPointGenerator(self.strides, offset)
        self.prior_generator = self.fcos_prior_generator
        self.sampling = False
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler = sampler_or_all(self, self.train_cfg.get('sampler'))

    num_dconv_points, dcn_kernel, dcn_pad = 9, 3, 1  # of the deformable convolutions

    anchor_generator = old_name('anchor_generator', 'atss_prior_generator')

    @property
    def dcn_base_offset(self) -> Tensor:
        """(1, 18, 1, 1) y and x of the nine points of the deformable convolutions' kernels, cells."""
        return kernel_points(self.dcn_kernel).view(1, -1, 1, 1)

    def _init_layers(self) -> None:
        self._init_cls_convs()
        self._init_reg_convs()
        self.relu = nn.ReLU()
        channels, kernel = self.feat_channels, dict[str, Any](kernel_size=3, padding=1)
        self.vfnet_reg_conv = ConvModule(
            channels, channels, 3, padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, bias=self.conv_bias
        )
        self.vfnet_reg = nn.Conv2d(channels, 4, **kernel)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.strides)
        self.vfnet_reg_refine_dconv = DeformConv2d(channels, channels, **kernel)
        self.vfnet_reg_refine = nn.Conv2d(channels, 4, **kernel)
        self.scales_refine = nn.ModuleList(Scale(1.0) for _ in self.strides)
        self.vfnet_cls_dconv = DeformConv2d(channels, channels, **kernel)
        self.vfnet_cls = nn.Conv2d(channels, self.cls_out_channels, **kernel)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """L feature maps -> L maps of each kind of :meth:`forward_single`."""
        return multi_apply(
            self.forward_single, feats, self.scales, self.scales_refine, self.strides, self.reg_denoms[: len(feats)]
        )

    def forward_single(
        self, x: Tensor, scale: nn.Module, scale_refine: nn.Module, stride: int, reg_denom: float
    ) -> tuple[Tensor, ...]:
        """One level -> class scores (N, C, H, W), distances to the sides (N, 4, H, W) in pixels.

        Args:
            x: features (N, in_channels, H, W).
            scale: the level's factor of the logarithms of the first distances.
            scale_refine: that of their refinement.
            stride: pixels of a cell.
            reg_denom: unit of the first distances with ``bbox_norm_type='reg_denom'``, pixels.

        Returns:
            scores, first distances and refined ones in training; scores and refined ones otherwise.
        """
        cls_feat = reg_feat = x
        for layer in self.cls_convs:
            cls_feat = layer(cls_feat)
        for layer in self.reg_convs:
            reg_feat = layer(reg_feat)
        unit = reg_denom if self.bbox_norm_type == 'reg_denom' else stride
        # exp() overflows half precision
        distances = scale(self.vfnet_reg(self.vfnet_reg_conv(reg_feat))).float().exp() * unit
        offsets = self.star_dcn_offset(distances, self.gradient_mul, stride).to(reg_feat.dtype)
        reg_feat = self.relu(self.vfnet_reg_refine_dconv(reg_feat, offsets))
        refined = scale_refine(self.vfnet_reg_refine(reg_feat)).float().exp() * distances.detach()
        cls_score = self.vfnet_cls(self.relu(self.vfnet_cls_dconv(cls_feat, offsets)))
        return (cls_score, distances, refined) if self.training else (cls_score, refined)

    def star_dcn_offset(self, bbox_pred: Tensor, gradient_mul: float, stride: int) -> Tensor:
        """See :func:`star_offsets`."""
        return star_offsets(bbox_pred, gradient_mul, stride)

    def weigh(self, targets: Targets, img_metas: list[ImgMeta] | None, overlaps: Any = None, **kwargs: Any) -> Targets:
        """As of :class:`BaseDenseHead`; with the varifocal loss all points count, those over the padding, too."""
        if self.use_vfl:
            targets = targets._replace(label_weights=torch.ones_like(targets.label_weights))
        return super().weigh(targets, img_metas, overlaps, **kwargs)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        bbox_preds_refine: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_bbox`` and ``loss_bbox_rf``.

        Args:
            cls_scores: L maps (N, C, H, W).
            bbox_preds: L maps (N, 4, H, W), the first distances.
            bbox_preds_refine: L maps (N, 4, H, W).
            gt_bboxes, gt_labels, img_metas: as of :meth:`AnchorHead.loss`.
            gt_bboxes_ignore: N times (G', 4), or None; read by the assigner of ATSS.
        """
        cls_scores, bbox_preds, bbox_preds_refine = map(to_full_precision, (cls_scores, bbox_preds, bbox_preds_refine))
        sizes = sizes_of_maps(cls_scores)
        points = self.fcos_prior_generator.grid_priors(sizes, bbox_preds[0].dtype, bbox_preds[0].device)
        found = self.get_targets(cls_scores, points, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        targets = Targets(*map(torch.cat, found))
        scores, label_weights = self.point_scores_for_loss(cls_scores, targets, img_metas)
        labels = targets.labels
        pos = positive_rows(labels, self.num_classes)
        num_pos = scores.new_full((), float(len(pos)))
        num_pos = (reduce_mean(num_pos) if self.sync_num_pos else num_pos).clamp(min=1)
        pos_points = torch.cat([level.repeat(len(gt_bboxes), 1) for level in points])[pos]
        wanted = self.bbox_coder.decode(pos_points, targets.bbox_targets[pos])
        weights = targets.bbox_weights[pos, 0]
        positives = self.bbox_coder, pos, pos_points, wanted, weights
        loss_bbox, _ = iou_weighted_loss(self.loss_bbox, bbox_preds, *positives)
        loss_refined, ious = iou_weighted_loss(self.loss_bbox_refine, bbox_preds_refine, *positives)
        if self.use_vfl:
            # of positives the IoU that their refined boxes have now, in the column of their class
            qualities = torch.zeros_like(scores).index_put((pos, labels[pos]), ious)
            loss_cls = self.loss_cls(scores, qualities, weight=label_weights[:, None], avg_factor=num_pos)
        else:
            loss_cls = self.loss_cls(scores, labels, weight=label_weights, avg_factor=num_pos)
        return dict(loss_cls=loss_cls, loss_bbox=loss_bbox, loss_bbox_rf=loss_refined)

    def get_targets(
        self,
        cls_scores: Sequence[Tensor],
        mlvl_points: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None,
    ) -> tuple[list[Tensor], ...]:
        """Labels, label weights, distances in pixels and box weights of a batch; L tensors each, (N * H * W, ...)."""
        if self.use_atss:
            return self.get_atss_targets(cls_scores, mlvl_points, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        labels, distances = (torch.cat(t) for t in self.get_fcos_targets(mlvl_points, gt_bboxes, gt_labels)[::2])

        def objects() -> Tensor:
            return torch.cat(self.get_fcos_targets(mlvl_points, gt_bboxes, numbers_of_objects(gt_bboxes))[0])

        targets = self.weigh_points(labels, distances, mlvl_points, gt_bboxes, img_metas, objects)
        counts = [len(img_metas) * len(level) for level in mlvl_points]
        return tuple(list(part.split(counts)) for part in targets)

    def get_fcos_targets(
        self, points: list[Tensor], gt_bboxes_list: list[Tensor], gt_labels_list: list[Tensor]
    ) -> tuple[list[Tensor], None, list[Tensor], None]:
        """Labels and distances as of :meth:`FCOSHead.get_targets`, each before a None in place of weights."""
        labels, distances = FCOSHead.get_targets(self, points, gt_bboxes_list, gt_labels_list)
        return labels, None, distances, None

    def get_anchors(
        self, featmap_sizes: Sequence[tuple[int, int]], img_metas: list[ImgMeta], device: str | torch.device = 'cuda'
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Anchors of ATSS and which of them lie over the padded image; see :meth:`AnchorHead.get_anchors`."""
        generator = self.atss_prior_generator
        anchors = generator.grid_priors(featmap_sizes, device=device)
        flags = [generator.valid_flags(featmap_sizes, meta['pad_shape'], device) for meta in img_metas]
        return [anchors] * len(img_metas), flags

    def get_atss_targets(
        self,
        cls_scores: Sequence[Tensor],
        mlvl_points: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> tuple[list[Tensor], ...]:
        """As :meth:`get_targets`, with the assigner of ATSS."""
        anchors, flags = self.anchors_of_maps(cls_scores, img_metas)
        _, labels, label_weights, boxes, box_weights, *_ = ATSSHead.get_targets(
            self,
            anchors,
            flags,
            gt_bboxes,
            img_metas,
            gt_bboxes_ignore_list=gt_bboxes_ignore,
            gt_labels_list=gt_labels,
            label_channels=self.cls_out_channels,
            unmap_outputs=True,
        )
        distances = self.transform_bbox_targets(boxes, mlvl_points, len(img_metas))
        labels, label_weights, box_weights = (
            [level.flatten(0, 1) for level in part] for part in (labels, label_weights, box_weights)
        )
        return labels, label_weights, distances, box_weights

    def transform_bbox_targets(
        self, decoded_bboxes: list[Tensor], mlvl_points: list[Tensor], num_imgs: int
    ) -> list[Tensor]:
        """Boxes, L times (N, H * W, 4), -> distances from the points, L times (N * H * W, 4), pixels."""
        return [
            self.bbox_coder.encode(points.repeat(num_imgs, 1), boxes.reshape(-1, 4))
            for boxes, points in zip(decoded_bboxes, mlvl_points)
        ]

    def _get_target_single(self, *args: Any, **kwargs: Any) -> tuple:
        """Targets of one image, in the way of the parent that assigns."""
        return (ATSSHead if self.use_atss else FCOSHead)._get_target_single(self, *args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load; the keys are the same in all versions."""
        BaseDenseHead._load_from_state_dict(self, *args, **kwargs)

    def _get_points_single(
        self,
        featmap_size: tuple[int, int],
        stride: int,
        dtype: torch.dtype,
        device: torch.device | str,
        flatten: bool = False,
    ) -> Tensor:
        """(H * W, 2) x, y in pixels of the cells' points; an old way to ``prior_generator``."""
        y, x = AnchorFreeHead._get_points_single(self, featmap_size, stride, dtype, device)
        points = torch.stack([x.reshape(-1), y.reshape(-1)], dim=-1) * stride
        return points + stride * self.anchor_center_offset if self.use_atss else points + stride // 2
