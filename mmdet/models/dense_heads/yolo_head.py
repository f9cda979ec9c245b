"""YOLOv3: the anchor that fits an object best, in the cell of its centre, predicts it (arXiv:1804.02767)."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, bias_init_with_prob
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.anchor.builder import build_prior_generator
from mmdet.core.bbox.builder import build_assigner, build_bbox_coder
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_boxes
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.decoding import detections_of_objects
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.dense_heads.functional.objectness import mask_objectness
from mmdet.models.dense_heads.functional.old_names import old_name
from mmdet.models.dense_heads.functional.rows import rows_of_images, sizes_of_maps, to_full_precision
from mmdet.models.utils.settings import as_config
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
ANCHORS = dict(
    type='YOLOAnchorGenerator',
    base_sizes=[
        [(116, 90), (156, 198), (373, 326)],
        [(30, 61), (62, 45), (59, 119)],
        [(10, 13), (16, 30), (33, 23)],
    ],
    strides=[32, 16, 8],
)
CODER = dict(type='YOLOBBoxCoder')
BATCH_NORM = dict(type='BN', requires_grad=True)
LEAKY_RELU = dict(type='LeakyReLU', negative_slope=0.1)
ENTROPY = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
SQUARED = dict(type='MSELoss', loss_weight=1.0)
SMALL_NORMAL = dict(type='Normal', std=0.01, override=dict(name='convs_pred'))
FIRST_OBJECTS, FIRST_SIDE = 8, 608  # at the start, so many objects are expected in an image of this side in pixels
RARE = 0.01  # probability of each class at the start


@HEADS.register_module()
class YOLOV3Head(BaseDenseHead, BBoxTestMixin):
    """For each anchor a box, whether it is an object, and of which class; levels from the coarsest to the finest.

    A row has 5 + K numbers: centre in the cell (logits), logarithms of the size, objectness and class scores. A
    negative is an anchor that the assigner gives no object; it enters ``loss_conf`` alone. See :func:`mask_objectness`
    for unlabelled classes.

    Args:
        num_classes: K, without background.
        in_channels: channels of each feature map.
        out_channels: channels inside the head, of each level.
        anchor_generator: config of the prior generator.
        bbox_coder: config of the coder between boxes and predictions.
        featmap_strides: pixels of a cell of each level.
        one_hot_smoother: this part of a class's target is spread over all classes.
        conv_cfg: kind of the 3x3 convolutions; None: ``Conv2d``.
        norm_cfg, act_cfg: normalisation and activation after each.
        loss_cls: config of the classification loss, over positives.
        loss_conf: config of the loss of the objectness, over positives and negatives.
        loss_xy, loss_wh: configs of the losses of the centres and of the sizes, over positives.
        train_cfg: keys ``assigner`` and ``sampler`` (absent: every anchor counts).
        test_cfg: keys ``score_thr``, ``conf_thr`` (least objectness), ``nms``, ``max_per_img``.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: there are not as many ``in_channels`` as ``out_channels`` and strides, or an impossible smoother.
    """

    has_sampler = False  # get_targets knows no images, so that the head reads ignored negatives itself

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        out_channels: Sequence[int] = (1024, 512, 256),
        anchor_generator: dict = ANCHORS,
        bbox_coder: dict = CODER,
        featmap_strides: Sequence[int] = (32, 16, 8),
        one_hot_smoother: float = 0.0,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = LEAKY_RELU,
        loss_cls: dict = ENTROPY,
        loss_conf: dict = ENTROPY,
        loss_xy: dict = ENTROPY,
        loss_wh: dict = SQUARED,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = SMALL_NORMAL,
    ) -> None:
        super().__init__(init_cfg)
        counts = len(in_channels), len(out_channels), len(featmap_strides)
        if len(set(counts)) > 1:
            raise ValueError(f'in_channels, out_channels, featmap_strides: expected one number a level, got {counts}')
        if not 0 <= one_hot_smoother < 1:
            raise ValueError(f'one_hot_smoother: expected a number in [0, 1), got {one_hot_smoother}')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.featmap_strides = featmap_strides
        self.one_hot_smoother = one_hot_smoother
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler = sampler_or_all(self, self.train_cfg.get('sampler'))
        self.bbox_coder = build_bbox_coder(bbox_coder)
        self.prior_generator = build_prior_generator(anchor_generator)
        self.loss_cls = build_loss(loss_cls)
        self.loss_conf = build_loss(loss_conf)
        self.loss_xy = build_loss(loss_xy)
        self.loss_wh = build_loss(loss_wh)
        self.num_base_priors = self.prior_generator.num_base_priors[0]
        self._init_layers()

    num_anchors = old_name('num_anchors', 'num_base_priors')
    anchor_generator = old_name('anchor_generator', 'prior_generator')

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.featmap_strides)

    @property
    def num_attrib(self) -> int:
        """Numbers of a row: 5 + K."""
        return 5 + self.num_classes

    def _init_layers(self) -> None:
        settings = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        pairs = zip(self.in_channels, self.out_channels)
        self.convs_bridge = nn.ModuleList(ConvModule(c, wide, 3, padding=1, **settings) for c, wide in pairs)
        width = self.num_base_priors * self.num_attrib
        self.convs_pred = nn.ModuleList(nn.Conv2d(wide, width, 1) for wide in self.out_channels)

    def init_weights(self) -> None:
        """Initialise, so that ``FIRST_OBJECTS`` objects are expected in an image, and each class with ``RARE``."""
        super().init_weights()
        for layer, stride in zip(self.convs_pred, self.featmap_strides):
            bias = layer.get_parameter('bias').view(self.num_base_priors, -1)
            nn.init.constant_(bias[:, 4], bias_init_with_prob(FIRST_OBJECTS / (FIRST_SIDE / stride) ** 2))
            nn.init.constant_(bias[:, 5:], bias_init_with_prob(RARE))

    def forward(self, feats: Sequence[Tensor]) -> tuple[tuple[Tensor, ...]]:
        """L feature maps, coarsest first -> a tuple with one entry: L maps (N, A * (5 + K), H, W).

        Raises:
            ValueError: another number of maps than levels.
        """
        if len(feats) != self.num_levels:
            raise ValueError(f'YOLOV3Head: expected {self.num_levels} feature maps, got {len(feats)}')
        levels = zip(feats, self.convs_bridge, self.convs_pred)
        return (tuple(pred(bridge(x)) for x, bridge, pred in levels),)

    def _anchors(self, pred_maps: Sequence[Tensor]) -> list[Tensor]:
        """L times (H * W * A, 4)."""
        sizes = sizes_of_maps(pred_maps)
        return self.prior_generator.grid_priors(sizes, dtype=pred_maps[0].dtype, device=pred_maps[0].device)

    def _strides(self, anchors: Sequence[Tensor]) -> Tensor:
        """(R,) stride of each anchor."""
        return torch.cat([level.new_full(level.shape[:1], s) for level, s in zip(anchors, self.featmap_strides)])

    def get_bboxes(
        self,
        pred_maps: Sequence[Tensor],
        img_metas: list[ImgMeta],
        cfg: dict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[tuple[Tensor, ...]]:
        """Maps to boxes, image by image.

        Args:
            pred_maps: L maps (N, A * (5 + K), H, W).
            img_metas: meta information of the N images.
            cfg: see ``test_cfg``; None: ``test_cfg``.
            rescale: give boxes in pixels of the original image.
            with_nms: False gives what would enter the suppression: boxes (n, 4), scores (n,), labels (n,).

        Returns:
            for each image (boxes with scores (k, 5), labels (k,)).
        """
        pred_maps = to_full_precision(pred_maps)
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        anchors = self._anchors(pred_maps)
        rows = rows_of_images(pred_maps, self.num_attrib)
        deltas = torch.cat([rows[..., :2].sigmoid(), rows[..., 2:4]], dim=-1)
        priors = torch.cat(anchors).expand_as(deltas)
        boxes = self.bbox_coder.decode(priors, deltas, self._strides(anchors))
        results = []
        images = zip(boxes, rows[..., 4].sigmoid(), rows[..., 5:].sigmoid(), img_metas)
        for image_boxes, objectness, scores, meta in images:
            if rescale:
                image_boxes = image_boxes / tensor_like(meta['scale_factor'], image_boxes)
            kept = objectness >= cfg.get('conf_thr', -1)
            results.append(detections_of_objects(image_boxes[kept], objectness[kept], scores[kept], cfg, with_nms))
        return results

    def onnx_export(
        self, pred_maps: Sequence[Tensor], img_metas: list[ImgMeta], with_nms: bool = True
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`BaseDenseHead.onnx_export`."""
        return self._stacked_bboxes((pred_maps,), img_metas, with_nms)

    def loss(
        self,
        pred_maps: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_conf``, ``loss_xy`` and ``loss_wh``, each L tensors.

        Args:
            pred_maps: L maps (N, A * (5 + K), H, W).
            gt_bboxes, gt_labels: N times (G, 4) and (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: not used.
        """
        pred_maps = to_full_precision(pred_maps)
        anchors = self._anchors(pred_maps)
        sizes, device = sizes_of_maps(pred_maps), pred_maps[0].device
        flags = [self.prior_generator.responsible_flags(sizes, gts, device) for gts in gt_bboxes]
        targets, negatives = self.get_targets([anchors] * len(img_metas), flags, gt_bboxes, gt_labels)
        weights = self._weights(pred_maps, anchors, targets, negatives, gt_bboxes, img_metas)
        losses = multi_apply(self.loss_single, pred_maps, targets, *weights)
        return dict(zip(('loss_cls', 'loss_conf', 'loss_xy', 'loss_wh'), losses))

    def _weights(
        self,
        pred_maps: Sequence[Tensor],
        anchors: Sequence[Tensor],
        target_maps: Sequence[Tensor],
        neg_maps: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Weights of all anchors for objectness, boxes and classes, weighed as the images and the objects say.

        Returns:
            three times L times (N, H * W * A); those of boxes and of classes are 0 but for positives.
        """
        flat, negative = torch.cat(list(target_maps), dim=1), torch.cat(list(neg_maps), dim=1)
        positive = flat[..., 4] > 0
        labels = torch.where(positive, flat[..., 5:].argmax(dim=-1), self.num_classes)
        of_boxes = positive.to(flat)[..., None].expand(-1, -1, 4)
        rows = Targets(labels, torch.where(positive, 1.0, negative), flat[..., :4], of_boxes)
        flat_anchors = torch.cat(list(anchors))

        def objects() -> Tensor:  # classes are not handed on: of objects with one box the first weighs
            decode, strides = self.bbox_coder.decode, self._strides(anchors)
            boxes = torch.stack([decode(flat_anchors, image, strides) for image in flat[..., :4]])
            return objects_of_boxes(boxes, labels, gt_bboxes, None)

        rows = self.weigh(rows, img_metas, lambda i: greatest_overlaps(flat_anchors, gt_bboxes[i]), objects=objects)
        scores = rows_of_images(pred_maps, self.num_attrib).detach()[..., 4:]
        conf = mask_objectness(self, scores[..., 0], scores[..., 1:], rows.labels, rows.label_weights, img_metas)
        kinds = (conf, rows.bbox_weights[..., 0], torch.where(positive, rows.label_weights, 0.0))
        conf, box_weights, label_weights = (weights.split([*map(len, anchors)], dim=1) for weights in kinds)
        return list(conf), list(box_weights), list(label_weights)

    def loss_single(
        self,
        pred_map: Tensor,
        target_map: Tensor,
        neg_map: Tensor,
        pos_map: Tensor | None = None,
        cls_map: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Classification, objectness, centre and size loss of one level.

        Args:
            pred_map: (N, A * (5 + K), H, W).
            target_map: (N, H * W * A, 5 + K); its objectness says which anchors are positives.
            neg_map: (N, H * W * A) 1 for negatives; with a ``pos_map`` weights of the objectness of all anchors.
            pos_map: (N, H * W * A) weights of the positives, 0 elsewhere; None: all positives weigh 1.
            cls_map: the same of their classes; None: ``pos_map``.
        """
        rows = rows_of_images([pred_map], self.num_attrib)
        is_object = target_map[..., 4]
        conf_weights = (neg_map + is_object).clamp(min=0, max=1) if pos_map is None else neg_map
        weights = (is_object if pos_map is None else pos_map)[..., None]
        of_classes = weights if cls_map is None else cls_map[..., None]
        return (
            self.loss_cls(rows[..., 5:], target_map[..., 5:], weight=of_classes.expand_as(rows[..., 5:])),
            self.loss_conf(rows[..., 4], is_object, weight=conf_weights),
            self.loss_xy(rows[..., :2], target_map[..., :2], weight=weights.expand_as(rows[..., :2])),
            self.loss_wh(rows[..., 2:4], target_map[..., 2:4], weight=weights.expand_as(rows[..., 2:4])),
        )

    def get_targets(
        self,
        anchor_list: list[list[Tensor]],
        responsible_flag_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        gt_labels_list: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Targets of a batch, by level.

        Args:
            anchor_list: N times L times (H * W * A, 4).
            responsible_flag_list: N times L times (H * W * A,): whose cell holds the centre of an object.
            gt_bboxes_list: N times (G, 4).
            gt_labels_list: N times (G,).

        Returns:
            L times (N, H * W * A, 5 + K), zeros but for positives; L times (N, H * W * A), 1 for negatives.
        """
        counts = [len(level) for level in anchor_list[0]]
        images = multi_apply(
            self._get_targets_single, anchor_list, responsible_flag_list, gt_bboxes_list, gt_labels_list
        )
        targets, negatives = (torch.stack(image).split(counts, dim=1) for image in images)
        return list(targets), list(negatives)

    def _get_targets_single(
        self, anchors: list[Tensor], responsible_flags: list[Tensor], gt_bboxes: Tensor, gt_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Targets (R, 5 + K) and negatives (R,) of one image; see :meth:`get_targets`."""
        flat, strides = torch.cat(anchors), self._strides(anchors)
        assigned = self.assigner.assign(flat, torch.cat(responsible_flags), gt_bboxes)
        sampled = self.sampler.sample(assigned, flat, gt_bboxes)
        pos = sampled.pos_inds
        boxes = self.bbox_coder.encode(sampled.pos_bboxes, sampled.pos_gt_bboxes, strides[pos])
        classes = functional.one_hot(gt_labels[sampled.pos_assigned_gt_inds], self.num_classes).to(boxes)
        classes = classes * (1 - self.one_hot_smoother) + self.one_hot_smoother / self.num_classes
        targets = flat.new_zeros(len(flat), self.num_attrib)
        targets[pos] = torch.cat([boxes, torch.ones_like(boxes[:, :1]), classes], dim=1)
        negatives = flat.new_zeros(len(flat))
        negatives[sampled.neg_inds] = 1
        return targets, negatives

    def aug_test(
        self, feats: Sequence[Sequence[Tensor]], img_metas: list[list[ImgMeta]], rescale: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of one image, merged over its augmented versions; see :meth:`aug_test_bboxes`."""
        return self.aug_test_bboxes(feats, img_metas, rescale=rescale)
