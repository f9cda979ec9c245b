"""The head of MaskFormer (https://arxiv.org/abs/2107.06278).

N: images; Q: queries; C: channels; K: classes of things and stuff, label K being "no object"; G: ground truths of an
image (its objects, and one for each class of stuff in it); P: queries of the batch that are matched with one. (h, w):
size of predicted masks; (H, W): of the padded batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import PLUGIN_LAYERS, caffe2_xavier_init
from mmcv.cnn.bricks.transformer import build_positional_encoding, build_transformer_layer_sequence
from torch import Tensor, nn

from mmdet.core.bbox.assigners.hungarian_assigner import check_no_ignored
from mmdet.core.bbox.builder import build_assigner, build_sampler
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, sampled_targets
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.functional.detr import check_class_weight, losses_by_layer
from mmdet.models.dense_heads.functional.masks.query_masks import greatest_mask_overlaps, refuse_boxes, resize_masks
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.models.utils.padding_mask import padding_mask
from mmdet.models.utils.panoptic_gt_processing import preprocess_panoptic_gt
from mmdet.models.utils.settings import as_config
from mmdet.utils.registry import build_from_cfg, refuse_unused, require
from mmdet.utils.running.device_copy import tensor_like

# Defaults of the constructor, which are part of its signature; never written to.
LOSS_CLS = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0, class_weight=[1.0] * 133 + [0.1])
LOSS_MASK = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=20.0)
LOSS_DICE = dict(type='DiceLoss', use_sigmoid=True, activate=True, naive_dice=True, loss_weight=1.0)
NAMES = ('loss_cls', 'loss_mask', 'loss_dice')
Layers = Tensor | Sequence[Tensor]  # stacked, or one after another


@HEADS.register_module()
class MaskFormerHead(BaseDenseHead):
    """Queries that a transformer lets look at the image; each becomes a mask with a class, or nothing.

    Rows are queries, and weigh as their image says: all in the loss of the classes, matched ones in those
    of the masks as well. A negative is a query without an object: its target is "no object", whose weight in
    ``class_weight`` it keeps; policies by overlap look at the IoU of its mask with those of the ground truth. Neither
    the matching nor a divisor depends on the weights.

    Args:
        in_channels: channels of the feature maps, the finest first.
        feat_channels: C.
        out_channels: channels of the mask features.
        num_things_classes, num_stuff_classes: K is their sum; labels of things come first.
        num_queries: Q.
        pixel_decoder: config of what makes the mask features, without its channels.
        enforce_decoder_input_project: a convolution brings what the queries look at to C channels even where it has so
            many.
        transformer_decoder: config of the decoder.
        positional_encoding: encoding of where a cell stands; half as many features as the decoder has channels.
        loss_cls: loss of the classes, a softmax; ``class_weight`` has K + 1 entries.
        loss_mask: loss of single pixels, of independent sigmoids.
        loss_dice: loss of whole masks.
        train_cfg: the assigner and the sampler; test_cfg: see ``MaskFormerFusionHead``.
        init_cfg: initialisation beside that of :meth:`init_weights`.
        kwargs: must be empty; the signature of mmdetection 2.x takes any.

    Raises:
        TypeError: an argument has another name.
        ValueError: ``class_weight`` is missing or of another length.
    """

    directive_fallback = 'mask_head'

    def __init__(
        self,
        in_channels: Sequence[int],
        feat_channels: int,
        out_channels: int,
        num_things_classes: int = 80,
        num_stuff_classes: int = 53,
        num_queries: int = 100,
        pixel_decoder: Any = None,
        enforce_decoder_input_project: bool = False,
        transformer_decoder: dict | None = None,
        positional_encoding: Any = None,
        loss_cls: dict = LOSS_CLS,
        loss_mask: dict = LOSS_MASK,
        loss_dice: dict = LOSS_DICE,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        require(self, pixel_decoder=pixel_decoder, transformer_decoder=transformer_decoder)
        super().__init__(init_cfg)
        self.num_things_classes = num_things_classes
        self.num_stuff_classes = num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.num_queries = num_queries
        channels = dict(in_channels=in_channels, feat_channels=feat_channels, out_channels=out_channels)
        self.pixel_decoder = build_from_cfg(pixel_decoder, PLUGIN_LAYERS, channels)
        self.transformer_decoder = build_transformer_layer_sequence(transformer_decoder)
        self.decoder_embed_dims = self.transformer_decoder.embed_dims
        self._init_queries(in_channels, feat_channels, positional_encoding, enforce_decoder_input_project, **kwargs)
        self.cls_embed = nn.Linear(feat_channels, self.num_classes + 1)
        hidden = (layer for _ in range(2) for layer in (nn.Linear(feat_channels, feat_channels), nn.ReLU(inplace=True)))
        self.mask_embed = nn.Sequential(*hidden, nn.Linear(feat_channels, out_channels))
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler = build_sampler(self.train_cfg.sampler, context=self)
        self.loss_cls, self.loss_mask, self.loss_dice = map(build_loss, (loss_cls, loss_mask, loss_dice))
        self.class_weight = self.loss_cls.class_weight
        check_class_weight(self.class_weight, self.num_classes)

    def _init_queries(
        self, in_channels: Sequence[int], feat_channels: int, positional_encoding: dict, enforce: bool, **kwargs: Any
    ) -> None:
        """Make the queries, and what stands between the pixel decoder and the transformer."""
        refuse_unused(self, kwargs)
        self.decoder_pe = build_positional_encoding(positional_encoding)
        # the pixel decoder with an encoder gives feat_channels, the one without the backbone's last map
        memory_channels = feat_channels if hasattr(self.pixel_decoder, 'encoder') else in_channels[-1]
        self.decoder_input_proj = self._projection(memory_channels, enforce)
        self.query_embed = nn.Embedding(self.num_queries, feat_channels)

    def _projection(self, channels: int, enforce: bool) -> nn.Module:
        """From ``channels`` to those of the decoder."""
        if channels == self.decoder_embed_dims and not enforce:
            return nn.Identity()
        return nn.Conv2d(channels, self.decoder_embed_dims, 1)

    def init_weights(self) -> None:
        """Xavier weights for the decoder and the projections; the pixel decoder initialises itself."""
        super().init_weights()
        for projection in self._projections():
            if isinstance(projection, nn.Conv2d):
                caffe2_xavier_init(projection, bias=0)
        for parameter in self.transformer_decoder.parameters():
            if parameter.dim() > 1:
                self._init_matrix(parameter)

    _init_matrix = staticmethod(nn.init.xavier_uniform_)

    def _projections(self) -> Sequence[nn.Module]:
        return [self.decoder_input_proj]

    def preprocess_gt(
        self, gt_labels_list: list[Tensor], gt_masks_list: list, gt_semantic_segs: Any, img_metas: list[ImgMeta]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels N times (G,) and masks N times (G, H, W), 0 and 1, of objects and of stuff.

        Args:
            gt_labels_list: N times labels of the objects.
            gt_masks_list: N times their masks.
            gt_semantic_segs: N times (1, H, W) classes; None: objects only.
            img_metas: has ``batch_input_shape`` (else ``pad_shape``), the size of the masks.
        """
        segs = [None] * len(gt_labels_list) if gt_semantic_segs is None else gt_semantic_segs
        # predicted masks span the padded batch, so that the ground truth does, too
        metas = [dict(meta, pad_shape=meta.get('batch_input_shape') or meta['pad_shape']) for meta in img_metas]
        numbers = ([n] * len(metas) for n in (self.num_things_classes, self.num_stuff_classes))
        return multi_apply(preprocess_panoptic_gt, gt_labels_list, gt_masks_list, segs, *numbers, metas)

    @torch.no_grad()
    def get_targets(
        self,
        cls_scores_list: Sequence[Tensor],
        mask_preds_list: Sequence[Tensor],
        gt_labels_list: list[Tensor],
        gt_masks_list: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor], int, int]:
        """Targets of each of N images: see :meth:`_get_target_single`; then the numbers of positives and negatives."""
        *targets, pos_inds, neg_inds = multi_apply(
            self._get_target_single, cls_scores_list, mask_preds_list, gt_labels_list, gt_masks_list, img_metas
        )
        return *targets, sum(map(len, pos_inds)), sum(map(len, neg_inds))

    def _get_target_single(
        self, cls_score: Tensor, mask_pred: Tensor, gt_labels: Tensor, gt_masks: Tensor, img_metas: ImgMeta
    ) -> tuple[Tensor, ...]:
        """Targets of one image.

        Args:
            cls_score: (Q, K + 1) logits.
            mask_pred: (Q, h, w) logits.
            gt_labels: (G,).
            gt_masks: (G, H, W), 0 and 1.
            img_metas: of the image.

        Returns:
            labels (Q,) in ``[0, K]``, label weights (Q,), masks (p, H, W) of the p positives in the order of their
            queries, mask weights (Q,), and the numbers of the positives and of the negatives.
        """
        compared = self._matching_masks(mask_pred, gt_masks)
        assigned = self.assigner.assign(cls_score, compared[0], gt_labels, compared[1], img_metas)
        # samplers read the image's meta information
        sampled = self.sampler.sample(assigned, mask_pred, gt_masks, img_metas=img_metas)
        pos_inds, neg_inds, matched = sampled.pos_inds, sampled.neg_inds, sampled.pos_assigned_gt_inds
        ones = cls_score.new_ones(len(pos_inds), 1)
        targets = sampled_targets(
            len(cls_score), pos_inds, neg_inds, gt_labels[matched], ones, self.num_classes, pos_weight=1.0
        )
        weights = targets.bbox_weights[:, 0]
        return targets.labels, targets.label_weights, gt_masks[matched], weights, pos_inds, neg_inds

    def _matching_masks(self, mask_pred: Tensor, gt_masks: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (Q, m) and ground truth (G, m) at the same places of one image, by which they are matched."""
        return mask_pred.flatten(1), resize_masks(gt_masks, mask_pred.shape[-2:], 'nearest').flatten(1)

    def _loss_masks(self, mask_preds: Tensor, mask_targets: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (P, m) and targets (P, m) at the same places, from (P, h, w) and (P, H, W)."""
        return resize_masks(mask_preds, mask_targets.shape[-2:], 'bilinear').flatten(1), mask_targets.flatten(1)

    def loss(
        self,
        all_cls_scores: Sequence[Tensor],
        all_mask_preds: Sequence[Tensor],
        gt_labels_list: list[Tensor],
        gt_masks_list: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> dict[str, Tensor]:
        """Losses of all layers of the decoder.

        Args:
            all_cls_scores: of each layer (N, Q, K + 1) logits.
            all_mask_preds: of each layer (N, Q, h, w) logits.
            gt_labels_list: N times (G,).
            gt_masks_list: N times (G, H, W), 0 and 1.
            img_metas: meta information of the N images.

        Returns:
            ``loss_cls``, ``loss_mask`` and ``loss_dice`` of the last layer, ``d0.loss_cls`` ... of those before it.
        """
        truth = (gt_labels_list, gt_masks_list, img_metas)
        layers = zip(to_full_precision(all_cls_scores), to_full_precision(all_mask_preds))
        return losses_by_layer((self.loss_single(scores, masks, *truth) for scores, masks in layers), NAMES)

    def loss_single(
        self,
        cls_scores: Tensor,
        mask_preds: Tensor,
        gt_labels_list: list[Tensor],
        gt_masks_list: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of one layer: of classes, of pixels, of whole masks; arguments as of :meth:`loss`."""
        labels, label_weights, mask_targets, mask_weights, num_pos, _ = self.get_targets(
            list(cls_scores), list(mask_preds), gt_labels_list, gt_masks_list, img_metas
        )
        matched = torch.stack(mask_weights)[..., None]  # (N, Q, 1): a mask weighs as one number
        targets = self.weigh(
            Targets(torch.stack(labels), torch.stack(label_weights), torch.zeros_like(matched), matched),
            img_metas,
            lambda i: greatest_mask_overlaps(mask_preds[i], gt_masks_list[i]),
        )
        loss_cls = self._loss_of_classes(cls_scores, targets, img_metas)
        positive = matched[..., 0] > 0
        num_masks = reduce_mean(cls_scores.new_full((), num_pos)).clamp(min=1)
        rows = positive.flatten().nonzero().squeeze(1)
        chosen, weights = mask_preds.flatten(0, 1)[rows], targets.bbox_weights.flatten(0, 1)[rows]  # (P, h, w), (P, 1)
        if not len(chosen):
            return loss_cls, chosen.sum(), chosen.sum()  # zeros on the graph
        preds, masks = self._loss_masks(chosen, torch.cat(mask_targets))
        loss_dice = self.loss_dice(preds, masks, weights[:, 0], avg_factor=num_masks)
        loss_mask = self.loss_mask(preds, masks, weights, avg_factor=num_masks * preds.size(1))
        return loss_cls, loss_mask, loss_dice

    def _loss_of_classes(self, cls_scores: Tensor, targets: Targets, img_metas: list[ImgMeta]) -> Tensor:
        """The loss of (N, Q, K + 1) logits; its divisor is the sum of the class weights of all targets."""
        scores, weights = self.scores_for_loss(cls_scores, targets.labels, targets.label_weights, img_metas)
        labels = targets.labels.flatten()
        divisor = tensor_like(self.class_weight, scores)[labels].sum()
        return self.loss_cls(scores.flatten(0, 1), labels, weights.flatten(), avg_factor=divisor)

    def forward(self, feats: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Layers, Layers]:
        """Predictions of all layers of the decoder.

        Args:
            feats: maps (N, in_channels, H_l, W_l), the finest first.
            img_metas: has ``img_shape`` and ``batch_input_shape`` of each image.

        Returns:
            Of each layer (N, Q, K + 1) logits of the classes and (N, Q, h, w) logits of the masks.
        """
        mask_features, memory = self.pixel_decoder(feats, img_metas)
        memory = self.decoder_input_proj(memory)
        mask = padding_mask(img_metas, memory.shape[-2:], memory.device)
        memory = memory.flatten(2).permute(2, 0, 1)  # (N, C, h, w) -> (h * w, N, C)
        asked = self.query_embed.weight[:, None].expand(-1, memory.size(1), -1)
        states = self.transformer_decoder(
            query=torch.zeros_like(asked),
            key=memory,
            value=memory,
            key_pos=self.decoder_pe(mask).flatten(2).permute(2, 0, 1),
            query_pos=asked,
            key_padding_mask=mask.flatten(1),
        ).transpose(1, 2)  # (layers, N, Q, C)
        return self.cls_embed(states), torch.einsum('lnqc,nchw->lnqhw', self.mask_embed(states), mask_features)

    def forward_train(
        self,
        feats: Sequence[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor] | None,
        gt_labels: list[Tensor],
        gt_masks: list,
        gt_semantic_seg: Tensor | None = None,
        gt_bboxes_ignore: None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch; see :meth:`loss`.

        Args:
            feats, img_metas: see :meth:`forward`.
            gt_labels: N times labels of the objects; ``gt_bboxes`` are not used.
            gt_masks: N times their masks.
            gt_semantic_seg: (N, 1, H, W) classes of the pixels; None: objects only.
            gt_bboxes_ignore: must be None.

        Raises:
            NotImplementedError: there are ignored regions.
        """
        check_no_ignored(gt_bboxes_ignore, type(self).__name__)
        truth: Any = (*self.preprocess_gt(gt_labels, gt_masks, gt_semantic_seg, img_metas), img_metas)
        return self.loss(*self(feats, img_metas), *truth)

    def simple_test(self, feats: Sequence[Tensor], img_metas: list[ImgMeta], **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Predictions of the last layer, for ``MaskFormerFusionHead``.

        Args:
            feats, img_metas: see :meth:`forward`.
            kwargs: not used.

        Returns:
            (N, Q, K + 1) logits of the classes and (N, Q, H, W) logits of the masks on the padded batch.
        """
        scores, masks = self(feats, img_metas)
        size = tuple(img_metas[0]['batch_input_shape'])
        return scores[-1], F.interpolate(masks[-1], size=size, mode='bilinear', align_corners=False)

    # names that 2.x gave it from its heads over points
    get_points = forward_single = get_bboxes = simple_test_bboxes = simple_test_rpn = refuse_boxes
    aug_test = aug_test_bboxes = aug_test_rpn = merge_aug_bboxes = refuse_boxes

    async def async_simple_test_rpn(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> None:
        """Not offered; see :meth:`get_points`."""
        refuse_boxes(self)
