"""The general head over points instead of anchors; FCOS and its kin are made of it.

One point a cell (A = 1 in the legend of ``base_dense_head.py``), R points in an image.
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.anchor.point_generator import MlvlPointGenerator
from mmdet.core.bbox.builder import build_bbox_coder
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.rows import rows_of_level
from mmdet.models.dense_heads.functional.towers import FOCAL_LOSS, conv_tower, rare_classes
from mmdet.models.utils.settings import as_config

# Default arguments, never written to.
RARE_CLASSES = rare_classes('conv_cls')

# Default arguments; every builder copies them.
IOU_LOSS = dict(type='IoULoss', loss_weight=1.0)
DISTANCE_CODER = dict(type='DistancePointBBoxCoder')
MODULATED_DEFORMABLE = dict(type='DCNv2')
PREDICTORS = {'cls': 'conv_cls', 'reg': 'conv_reg', 'centerness': 'conv_centerness'}  # by the end of their old names


@HEADS.register_module()
class AnchorFreeHead(BaseDenseHead, BBoxTestMixin):
    """A tower of convolutions for the classes and one for the boxes, and a predicting convolution after each.

    A subclass gives ``loss`` and ``get_targets``.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        feat_channels: channels inside the head.
        stacked_convs: 3x3 convolutions in each tower.
        strides: pixels of a cell of each level.
        dcn_on_last_conv: the last convolution of each tower is a modulated deformable one.
        conv_bias: whether the towers' convolutions have a bias; ``'auto'``: only without normalisation.
        loss_cls: config of the classification loss.
        loss_bbox: config of the box loss.
        bbox_coder: config of the coder between points and boxes.
        conv_cfg: kind of the towers' convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        train_cfg: for subclasses.
        test_cfg: see :meth:`BaseDenseHead.get_bboxes`.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: ``conv_bias`` is neither ``'auto'`` nor a bool.
    """

    has_sampler = False  # all points count, so that the head reads ignored negatives itself
    _version = 1  # before it, the predicting convolutions had names such as ``fcos_cls``

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = 'auto',
        loss_cls: dict = FOCAL_LOSS,
        loss_bbox: dict = IOU_LOSS,
        bbox_coder: dict = DISTANCE_CODER,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = RARE_CLASSES,
    ) -> None:
        super().__init__(init_cfg)
        if conv_bias != 'auto' and not isinstance(conv_bias, bool):
            raise ValueError(f"conv_bias: expected 'auto', True or False, got {conv_bias!r}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.strides = strides
        self.dcn_on_last_conv = dcn_on_last_conv
        self.conv_bias = conv_bias
        self.use_sigmoid_cls = loss_cls.get('use_sigmoid', False)
        self.cls_out_channels = num_classes if self.use_sigmoid_cls else num_classes + 1
        self.loss_cls = build_loss(loss_cls)
        self.loss_bbox = build_loss(loss_bbox)
        self.bbox_coder = build_bbox_coder(bbox_coder)
        self.prior_generator = MlvlPointGenerator(strides)
        self.num_base_priors = self.prior_generator.num_base_priors[0]
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self._init_layers()

    def _init_layers(self) -> None:
        self._init_cls_convs()
        self._init_reg_convs()
        self._init_predictor()

    def _build_tower(self) -> nn.ModuleList:
        last = MODULATED_DEFORMABLE if self.dcn_on_last_conv else None
        return conv_tower(
            self.in_channels,
            self.feat_channels,
            self.stacked_convs,
            self.conv_cfg,
            self.norm_cfg,
            self.conv_bias,
            last,
        )

    def _init_cls_convs(self) -> None:
        self.cls_convs = self._build_tower()

    def _init_reg_convs(self) -> None:
        self.reg_convs = self._build_tower()

    def _init_predictor(self) -> None:
        self.conv_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)
        self.conv_reg = nn.Conv2d(self.feat_channels, 4, 3, padding=1)

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list,
        unexpected_keys: list,
        error_msgs: list,
    ) -> None:
        """Load; the keys of checkpoints from before version 1 are renamed, in place: ``fcos_cls`` to ``conv_cls``."""
        if local_metadata.get('version') is None:
            for old, new in renamed_predictors(state_dict, prefix).items():
                state_dict[new] = state_dict.pop(old)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of class scores (N, C, H, W), L maps of box predictions (N, 4, H, W)."""
        return multi_apply(self.forward_single, feats)[:2]

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores, box predictions, and the features of both towers."""
        cls_feat = reg_feat = x
        for layer in self.cls_convs:
            cls_feat = layer(cls_feat)
        for layer in self.reg_convs:
            reg_feat = layer(reg_feat)
        return self.conv_cls(cls_feat), self.conv_reg(reg_feat), cls_feat, reg_feat

    @abstractmethod
    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name."""

    @abstractmethod
    def get_targets(self, points: list[Tensor], gt_bboxes_list: list[Tensor], gt_labels_list: list[Tensor]) -> Any:
        """Targets of all points, L times (H * W, 2), of a batch."""

    def weigh_points(
        self,
        labels: Tensor,
        bbox_targets: Tensor,
        points: Sequence[Tensor],
        gt_bboxes: Sequence[Tensor],
        img_metas: Sequence[ImgMeta],
        objects: Callable[[], Tensor] | None = None,
    ) -> Targets:
        """Targets of all points of a batch, weighed as its images say; where they say nothing, all weigh 1.

        All points that are no positives are negatives. To the policy that looks at overlaps, a point inside an object
        overlaps it by 1 and any other by 0, as a point has no box of its own.

        Args:
            labels: (n,) in [0, K], K for background; level after level, and in each of them image after image.
            bbox_targets: (n, 4).
            points: L times (H * W, 2), pixels.
            gt_bboxes: N times (G, 4).
            img_metas: meta information of the N images.
            objects: gives the number of the object of each point in its image, (n,), read of positives.
        """
        weights = bbox_targets.new_ones(len(labels))
        targets = Targets(labels, weights, bbox_targets, torch.ones_like(bbox_targets))
        images = torch.arange(len(img_metas), device=labels.device)
        image_of_row = torch.cat([images.repeat_interleave(len(level)) for level in points])
        flat_points = torch.cat(list(points))
        return self.weigh_rows(
            targets, image_of_row, img_metas, lambda i: inside_objects(flat_points, gt_bboxes[i]), objects=objects
        )

    def point_scores_for_loss(
        self, cls_scores: Sequence[Tensor], targets: Targets, img_metas: Sequence[ImgMeta]
    ) -> tuple[Tensor, Tensor]:
        """Class scores (n, C) and label weights (n,) of all points, from L maps (N, C, H, W), for the loss.

        See :meth:`scores_for_loss`; the rows are in the order of :meth:`weigh_points`.
        """
        scores = torch.cat([rows_of_level(m, self.cls_out_channels) for m in cls_scores])
        images = torch.arange(len(img_metas), device=scores.device)
        image_of_row = torch.cat([images.repeat_interleave(m.shape[-2:].numel()) for m in cls_scores])
        return self.row_scores_for_loss(scores, targets.labels, targets.label_weights, image_of_row, img_metas)

    def _get_points_single(
        self,
        featmap_size: tuple[int, int],
        stride: int,
        dtype: torch.dtype,
        device: torch.device | str,
        flatten: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Rows y and columns x of the cells, (H, W) each or, flat, (H * W,)."""
        warnings.warn('_get_points_single is deprecated; use prior_generator', DeprecationWarning, stacklevel=2)
        rows, columns = (torch.arange(size, dtype=dtype, device=device) for size in featmap_size)
        y, x = torch.meshgrid(rows, columns, indexing='ij')
        return (y.flatten(), x.flatten()) if flatten else (y, x)

    def get_points(
        self,
        featmap_sizes: Sequence[tuple[int, int]],
        dtype: torch.dtype,
        device: torch.device | str,
        flatten: bool = False,
    ) -> list:
        """L times :meth:`_get_points_single`; an old name of ``prior_generator.grid_priors``."""
        warnings.warn('get_points is deprecated; use prior_generator.grid_priors', DeprecationWarning, stacklevel=2)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            levels = zip(featmap_sizes, self.strides)
            return [self._get_points_single(size, stride, dtype, device, flatten) for size, stride in levels]


def numbers_of_objects(gt_bboxes: Sequence[Tensor]) -> list[Tensor]:
    """N times (0, 1, ..., G - 1): in place of the classes, they make targets that tell the object of each point."""
    return [torch.arange(len(boxes), device=boxes.device) for boxes in gt_bboxes]


def inside_objects(points: Tensor, gt_bboxes: Tensor) -> Tensor:
    """(R,) 1 for points (R, 2) that lie inside one of the boxes (G, 4), 0 for the others."""
    low, high = points[:, None] - gt_bboxes[:, :2], gt_bboxes[:, 2:] - points[:, None]
    return (torch.cat([low, high], dim=2).amin(dim=2) > 0).any(dim=1).to(points)


def renamed_predictors(state_dict: dict, prefix: str) -> dict[str, str]:
    """Old keys of predicting convolutions below ``prefix`` (``fcos_cls.weight``) -> new ones (``conv_cls.weight``)."""
    renamed = {}
    for key in state_dict:
        layer, _, rest = key.removeprefix(prefix).partition('.')
        end = layer.rpartition('_')[2]
        if key.startswith(prefix) and end in PREDICTORS and layer != PREDICTORS[end]:
            renamed[key] = f'{prefix}{PREDICTORS[end]}.{rest}'
    return renamed
