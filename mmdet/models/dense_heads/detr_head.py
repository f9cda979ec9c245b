"""The head of DETR (https://arxiv.org/abs/2005.12872).

N: images; Q: queries; C: channels; K: classes, label K being background. Predicted boxes are centre x, centre y, w, h
as fractions of the image.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import build_activation_layer
from mmcv.cnn.bricks.transformer import FFN, build_positional_encoding
from torch import Tensor, nn

from mmdet.core.bbox.builder import build_assigner
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.bbox.transforms import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_boxes, sampled_targets
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional import detr
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.utils.builder import build_transformer
from mmdet.models.utils.export import stack_detections
from mmdet.models.utils.padding_mask import padding_mask
from mmdet.models.utils.settings import as_config
from mmdet.utils.configs.config_error import building
from mmdet.utils.registry import refuse_unused, require
from mmdet.utils.running.device_copy import tensor_like


@HEADS.register_module()
class DETRHead(BaseDenseHead, BBoxTestMixin):
    """Queries that a transformer lets look at the image; each becomes a box or nothing.

    Args:
        num_classes: number of classes K.
        in_channels: channels of the feature map.
        num_query: number of queries Q.
        num_reg_fcs: linear layers before the boxes.
        transformer: its config.
        sync_cls_avg_factor: the classification loss is divided by the mean over all processes.
        positional_encoding: encoding of where a cell stands; half as many features as the transformer has channels.
        loss_cls, loss_bbox, loss_iou: the losses. Where ``class_weight`` is a number, ``bg_cls_weight`` is that of
            background.
        train_cfg: the assigner, and a sampler if another than one that takes all.
        test_cfg: ``max_per_img``.
        init_cfg: must stay None: the transformer initialises itself.
        kwargs: must be empty; the signature of mmdetection 2.x takes any.

    Raises:
        TypeError: an argument has another name.
        ValueError: ``init_cfg`` is given, or the encoding has another number of features.
    """

    _version = 2

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_query: int = 100,
        num_reg_fcs: int = 2,
        transformer: Any = None,
        sync_cls_avg_factor: bool = False,
        positional_encoding: dict = detr.POSITIONAL_ENCODING,
        loss_cls: dict = detr.LOSS_CLS,
        loss_bbox: dict = detr.LOSS_BBOX,
        loss_iou: dict = detr.LOSS_IOU,
        train_cfg: dict | None = detr.TRAIN_CFG,
        test_cfg: dict | None = detr.TEST_CFG,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_unused(self, kwargs)
        require(self, transformer=transformer)
        if init_cfg is not None:
            raise ValueError(f'{type(self).__name__} initialises itself; init_cfg must be None, got {init_cfg!r}')
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.num_query = num_query
        self.num_reg_fcs = num_reg_fcs
        self.sync_cls_avg_factor = sync_cls_avg_factor
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        with building(loss_cls):
            of_classes, self.bg_cls_weight = detr.with_class_weights(loss_cls, num_classes)
            self.loss_cls = build_loss(of_classes)
        self.use_sigmoid_cls = self.loss_cls.use_sigmoid
        self.loss_bbox, self.loss_iou = build_loss(loss_bbox), build_loss(loss_iou)
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler = sampler_or_all(self, self.train_cfg.get('sampler'))
        self.cls_out_channels = num_classes if self.loss_cls.use_sigmoid else num_classes + 1
        self.act_cfg = transformer.get('act_cfg', detr.RELU)
        self.activate = build_activation_layer(self.act_cfg)
        self.positional_encoding = build_positional_encoding(positional_encoding)
        self.transformer: Any = build_transformer(transformer)
        self.embed_dims = cast(int, self.transformer.embed_dims)
        detr.check_num_feats(positional_encoding['num_feats'], self.embed_dims)
        self._init_layers()

    def _init_layers(self) -> None:
        self.input_proj = nn.Conv2d(self.in_channels, self.embed_dims, 1)
        self.fc_cls = nn.Linear(self.embed_dims, self.cls_out_channels)
        self.reg_ffn = FFN(self.embed_dims, self.embed_dims, self.num_reg_fcs, self.act_cfg, add_identity=False)
        self.fc_reg = nn.Linear(self.embed_dims, 4)
        self.query_embedding = nn.Embedding(self.num_query, self.embed_dims)

    def init_weights(self) -> None:
        """Let the transformer initialise itself; the other layers stay as PyTorch made them."""
        self.transformer.init_weights()

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *args: Any, **kwargs: Any
    ) -> None:
        """Load parameters, also under the names of old checkpoints."""
        if (local_metadata.get('version') or 1) < 2:
            detr.rename_old_keys(state_dict, prefix + 'transformer.')
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)

    def forward(self, feats: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[list[Tensor], list[Tensor]]:
        """L maps (N, in_channels, H, W) -> L times what :meth:`forward_single` gives."""
        return multi_apply(self.forward_single, feats, [img_metas] * len(feats))

    def forward_single(self, x: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor]:
        """Predictions of all layers of the decoder.

        Args:
            x: (N, in_channels, H, W).
            img_metas: has ``img_shape`` and ``batch_input_shape`` of each image.

        Returns:
            (layers, N, Q, K) or (layers, N, Q, K + 1) logits and (layers, N, Q, 4) boxes.
        """
        mask = padding_mask(img_metas, x.shape[-2:], x.device)
        encoding = self.positional_encoding(mask)
        states, _ = self.transformer(self.input_proj(x), mask, self.query_embedding.weight, encoding)
        return self.fc_cls(states), self.fc_reg(self.activate(self.reg_ffn(states))).sigmoid()

    def forward_train(
        self,
        x: Sequence[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        proposal_cfg: None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch; see :meth:`loss`.

        Raises:
            ValueError: proposals are asked for.
        """
        if proposal_cfg is not None:
            raise ValueError(f'{type(self).__name__} makes no proposals; proposal_cfg must be None')
        truth: Any = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        return self.loss(*self(x, img_metas), *truth)

    def loss(
        self,
        all_cls_scores_list: Sequence[Tensor],
        all_bbox_preds_list: Sequence[Tensor],
        gt_bboxes_list: list[Tensor],
        gt_labels_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: None = None,
    ) -> dict[str, Tensor]:
        """Losses of the last map's predictions.

        Args:
            all_cls_scores_list, all_bbox_preds_list: see :meth:`forward`.
            gt_bboxes_list: N times (G, 4) xyxy px.
            gt_labels_list: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: must be None.

        Returns:
            ``loss_cls``, ``loss_bbox`` and ``loss_iou`` of the last layer, ``d0.loss_cls`` ... of those before it.
        """
        truth = gt_bboxes_list, gt_labels_list, img_metas, gt_bboxes_ignore
        return self._loss_of_layers(all_cls_scores_list[-1], all_bbox_preds_list[-1], *truth)

    def _loss_of_layers(self, all_cls_scores: Tensor, all_bbox_preds: Tensor, *truth: Any) -> dict[str, Tensor]:
        """Losses of (layers, N, Q, ...) predictions, named by layer; ``truth`` as of :meth:`loss_single`."""
        layers = (self.loss_single(*predictions, *truth) for predictions in zip(all_cls_scores, all_bbox_preds))
        return detr.losses_by_layer(layers, ('loss_cls', 'loss_bbox', 'loss_iou'))

    def loss_single(
        self,
        cls_scores: Tensor,
        bbox_preds: Tensor,
        gt_bboxes_list: list[Tensor],
        gt_labels_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: None = None,
        class_wise: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of one layer: of classes, of coordinates (as fractions of the image), of overlaps.

        Args:
            cls_scores: (N, Q, K) or (N, Q, K + 1) logits.
            bbox_preds: (N, Q, 4).
            gt_bboxes_list, gt_labels_list, img_metas, gt_bboxes_ignore_list: see :meth:`loss`.
            class_wise: False where all objects have label 0, so that the layer knows no classes.
        """
        *targets, num_pos, num_neg = self.get_targets(
            list(cls_scores), list(bbox_preds), gt_bboxes_list, gt_labels_list, img_metas, gt_bboxes_ignore_list
        )
        batch = Targets(*map(torch.stack, targets))  # (N, Q, ...)
        found = batch.labels, gt_bboxes_list, gt_labels_list
        labels, label_weights, bbox_targets, bbox_weights = self.weigh(
            batch,
            img_metas,
            lambda i: greatest_overlaps(self._boxes_in_px(bbox_preds[i].detach(), img_metas[i]), gt_bboxes_list[i]),
            objects=lambda: objects_of_boxes(self._target_boxes(batch, img_metas), *found),
        )
        cls_scores, label_weights = self.scores_for_loss(cls_scores, labels, label_weights, img_metas, class_wise)
        # queries without object are many; where each counts less, so it does in the divisor
        cls_factor = cls_scores.new_full((), num_pos + num_neg * self.bg_cls_weight)
        if self.sync_cls_avg_factor:
            cls_factor = reduce_mean(cls_factor)
        rows = (cls_scores.flatten(0, 1), labels.flatten(), label_weights.flatten())
        loss_cls = self.loss_cls(*rows, avg_factor=cls_factor.clamp(min=1))
        pos_factor = reduce_mean(cls_scores.new_full((), num_pos)).clamp(min=1)
        preds, gts, weights = (part.flatten(0, 1) for part in (bbox_preds, bbox_targets, bbox_weights))
        sizes = detr.image_sizes(img_metas, bbox_preds)[:, None].expand_as(bbox_preds).flatten(0, 1)
        in_px = (bbox_cxcywh_to_xyxy(boxes) * sizes for boxes in (preds, gts))
        loss_iou = self.loss_iou(*in_px, weights, avg_factor=pos_factor)
        loss_bbox = self.loss_bbox(preds, gts, weights, avg_factor=pos_factor)
        return loss_cls, loss_bbox, loss_iou

    @torch.no_grad()
    def get_targets(
        self,
        cls_scores_list: list[Tensor],
        bbox_preds_list: list[Tensor],
        gt_bboxes_list: list[Tensor],
        gt_labels_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: None = None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor], int, int]:
        """Targets of each of N images: see :meth:`_get_target_single`; then the numbers of positives and negatives."""
        # image by image: the matching of one is a problem of its own, which is solved on the CPU
        ignored = [None] * len(cls_scores_list) if gt_bboxes_ignore_list is None else gt_bboxes_ignore_list
        images = (cls_scores_list, bbox_preds_list, gt_bboxes_list, gt_labels_list, img_metas, ignored)
        *targets, pos_inds, neg_inds = multi_apply(self._get_target_single, *images)
        return *targets, sum(map(len, pos_inds)), sum(map(len, neg_inds))

    def _get_target_single(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        img_meta: ImgMeta,
        gt_bboxes_ignore: None = None,
    ) -> tuple[Tensor, ...]:
        """Targets of one image.

        Args:
            cls_score: (Q, K) or (Q, K + 1) logits.
            bbox_pred: (Q, 4).
            gt_bboxes: (G, 4) xyxy px.
            gt_labels: (G,).
            img_meta: has ``img_shape``.
            gt_bboxes_ignore: must be None.

        Returns:
            labels (Q,) in ``[0, K]``, label weights (Q,), box targets (Q, 4), box weights (Q, 4), and the numbers of
            the positives and of the negatives.
        """
        assigned = self.assigner.assign(bbox_pred, cls_score, gt_bboxes, gt_labels, img_meta, gt_bboxes_ignore)
        # samplers read the image's meta information
        sampled = self.sampler.sample(assigned, bbox_pred, gt_bboxes, gt_labels, img_metas=img_meta)
        pos_inds, neg_inds = sampled.pos_inds, sampled.neg_inds
        boxes = bbox_xyxy_to_cxcywh(sampled.pos_gt_bboxes / detr.image_sizes([img_meta], bbox_pred))
        labels = gt_labels[sampled.pos_assigned_gt_inds]
        targets = sampled_targets(len(bbox_pred), pos_inds, neg_inds, labels, boxes, self.num_classes, pos_weight=1.0)
        return (*targets, pos_inds, neg_inds)

    def _boxes_in_px(self, bbox_pred: Tensor, img_meta: ImgMeta) -> Tensor:
        """Predictions (Q, 4) of one image as boxes (Q, 4) xyxy px."""
        return bbox_cxcywh_to_xyxy(bbox_pred) * detr.image_sizes([img_meta], bbox_pred)

    def _target_boxes(self, targets: Targets, img_metas: list[ImgMeta]) -> Tensor:
        return torch.stack(list(map(self._boxes_in_px, targets.bbox_targets, img_metas)))

    def get_bboxes(
        self,
        all_cls_scores_list: Sequence[Tensor],
        all_bbox_preds_list: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool = False,
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of each image: boxes with scores (k, 5) xyxy px, labels (k,).

        Args:
            all_cls_scores_list, all_bbox_preds_list: see :meth:`forward`; the last layer of the last map counts.
            img_metas: meta information of the N images.
            rescale: give boxes in px of the original image.
        """
        return self._detections(all_cls_scores_list[-1][-1], all_bbox_preds_list[-1][-1], img_metas, rescale)

    def _detections(
        self, cls_scores: Tensor, bbox_preds: Tensor, img_metas: list[ImgMeta], rescale: bool
    ) -> list[tuple[Tensor, Tensor]]:
        return [
            self._get_bboxes_single(scores, boxes, meta['img_shape'], meta['scale_factor'], rescale)
            for scores, boxes, meta in zip(cls_scores, bbox_preds, img_metas)
        ]

    def _get_bboxes_single(
        self, cls_score: Tensor, bbox_pred: Tensor, img_shape: Sequence[int], scale_factor: Any, rescale: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Detections of one image, from (Q, K) or (Q, K + 1) logits and (Q, 4) boxes, best first."""
        limit = self.test_cfg.get('max_per_img', self.num_query)
        scores, rows, labels = detr.best_queries(cls_score, limit, self.loss_cls.use_sigmoid)
        boxes = detr.boxes_inside(bbox_pred[rows], img_shape)
        if rescale:
            boxes = boxes / tensor_like(scale_factor, boxes)
        return torch.cat([boxes, scores[:, None]], -1), labels

    def simple_test_bboxes(
        self, feats: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of each image; see :meth:`get_bboxes`."""
        of_images: Any = dict(img_metas=img_metas, rescale=rescale)
        return self.get_bboxes(*self(feats, img_metas), **of_images)

    def simple_test_rpn(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> list[Tensor]:
        """The boxes of :meth:`simple_test_bboxes` as proposals of a second stage: (k, 5) with scores, best first."""
        return [dets for dets, _ in self.simple_test_bboxes(x, img_metas)]

    get_points = detr.refuse_points  # which 2.x gave it from its heads over points

    def onnx_export(
        self, all_cls_scores_list: Sequence[Tensor], all_bbox_preds_list: Sequence[Tensor], img_metas: list[ImgMeta]
    ) -> tuple[Tensor, Tensor]:
        """:meth:`get_bboxes` with results of one shape: boxes with scores (N, k, 5), labels (N, k)."""
        limit = self.test_cfg.get('max_per_img', self.num_query)
        return stack_detections(self.get_bboxes(all_cls_scores_list, all_bbox_preds_list, img_metas), limit)

    # 2.x had a form without in-place operations for its exporter
    forward_onnx, forward_single_onnx = forward, forward_single
