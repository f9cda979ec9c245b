"""The head of Deformable DETR (https://arxiv.org/abs/2010.04159).

N: images; Q: queries; S: cells of all maps; K: classes. Boxes are centre x, centre y, w, h as fractions of the image.
"""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import bias_init_with_prob
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import names_parameter
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.detr_head import DETRHead
from mmdet.models.utils.padding_mask import padding_mask
from mmdet.models.utils.transformers.deformable_detr_transformer import add_reference


@HEADS.register_module()
class DeformableDETRHead(DETRHead):
    """:class:`DETRHead` on several feature maps, whose boxes are relative to reference points.

    Args:
        args, kwargs: of :class:`DETRHead`.
        with_box_refine: each layer of the decoder refines the boxes of the one before, with layers of its own.
        as_two_stage: the encoder proposes boxes, of which the best become queries.
        transformer: its config.

    Raises:
        ValueError: ``as_two_stage`` without ``with_box_refine``: boxes of the encoder need layers of their own.
    """

    def __init__(
        self,
        *args: Any,
        with_box_refine: bool = False,
        as_two_stage: bool = False,
        transformer: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.with_box_refine = with_box_refine
        self.as_two_stage = as_two_stage
        if as_two_stage and transformer is not None:
            transformer = {**transformer, 'as_two_stage': True}
        super().__init__(*args, **dict(transformer=transformer, **kwargs))
        if as_two_stage and not with_box_refine:
            raise ValueError(f'{type(self).__name__}: as_two_stage=True needs with_box_refine=True')

    def _init_layers(self) -> None:
        """Make the layers that predict: one pair for each layer of the decoder, and one for a first stage."""
        fc_cls = nn.Linear(self.embed_dims, self.cls_out_channels)
        layers: list[nn.Module] = []
        for _ in range(self.num_reg_fcs):
            layers += [nn.Linear(self.embed_dims, self.embed_dims), nn.ReLU()]
        reg_branch = nn.Sequential(*layers, nn.Linear(self.embed_dims, 4))
        number = self.transformer.decoder.num_layers + self.as_two_stage
        if self.with_box_refine:
            self.cls_branches = nn.ModuleList(copy.deepcopy(fc_cls) for _ in range(number))
            self.reg_branches = nn.ModuleList(copy.deepcopy(reg_branch) for _ in range(number))
        else:
            self.cls_branches = nn.ModuleList([fc_cls] * number)
            self.reg_branches = nn.ModuleList([reg_branch] * number)
        if not self.as_two_stage:
            self.query_embedding = nn.Embedding(self.num_query, self.embed_dims * 2)

    def init_weights(self) -> None:
        """With a sigmoid, classes start at a score of 0.01; boxes start at their reference, with a small size."""
        super().init_weights()
        if self.loss_cls.use_sigmoid:
            for layer in self.cls_branches:
                nn.init.constant_(cast(Tensor, layer.bias), bias_init_with_prob(0.01))
        last: list[Any] = [cast(nn.Sequential, branch)[-1] for branch in self.reg_branches]
        for layer in last:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        if not self.as_two_stage:  # there a box has the size of its proposal
            nn.init.constant_(last[0].bias.data[2:], -2.0)

    def forward(
        self, mlvl_feats: Sequence[Tensor], img_metas: list[ImgMeta]
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Predictions of all layers of the decoder and, with two stages, of the encoder.

        Args:
            mlvl_feats: L maps (N, C, H_l, W_l).
            img_metas: has ``img_shape`` and ``batch_input_shape`` of each image.

        Returns:
            (layers, N, Q, K) logits, (layers, N, Q, 4) boxes, (N, S, K) logits and (N, S, 4) boxes, or None and None.
        """
        masks = [padding_mask(img_metas, feat.shape[-2:], feat.device) for feat in mlvl_feats]
        states, reference, references, enc_logits, enc_boxes = self.transformer(
            mlvl_feats,
            masks,
            None if self.as_two_stage else self.query_embedding.weight,
            [self.positional_encoding(mask) for mask in masks],
            reg_branches=self.reg_branches if self.with_box_refine else None,
            cls_branches=self.cls_branches if self.as_two_stage else None,
        )
        states = states.transpose(1, 2)  # (layers, Q, N, C) -> (layers, N, Q, C)
        logits, boxes = [], []
        # the reference of a layer is what the one before made of it
        for layer, (state, of_layer) in enumerate(zip(states, [reference, *references[:-1]])):
            logits.append(self.cls_branches[layer](state))
            boxes.append(add_reference(self.reg_branches[layer](state), of_layer).sigmoid())
        return (
            torch.stack(logits),
            torch.stack(boxes),
            enc_logits,
            enc_boxes if enc_boxes is None else enc_boxes.sigmoid(),
        )

    def loss(
        self,
        all_cls_scores: Tensor,
        all_bbox_preds: Tensor,
        enc_cls_scores: Tensor | None,
        enc_bbox_preds: Tensor | None,
        gt_bboxes_list: list[Tensor],
        gt_labels_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch; predictions as of :meth:`forward`, ground truth as of :meth:`DETRHead.loss`.

        Returns:
            What :meth:`DETRHead.loss` gives and, with two stages, ``enc_loss_cls``, ``enc_loss_bbox`` and
            ``enc_loss_iou``, for which all objects are of class 0.
        """
        losses = self._loss_of_layers(
            all_cls_scores, all_bbox_preds, gt_bboxes_list, gt_labels_list, img_metas, gt_bboxes_ignore
        )
        if enc_cls_scores is not None and enc_bbox_preds is not None:
            objects = [torch.zeros_like(labels) for labels in gt_labels_list]
            truth = (gt_bboxes_list, objects, img_metas, gt_bboxes_ignore)
            # a method that users wrote for mmdetection 2.x does not ask
            asked: dict[str, Any] = dict(class_wise=False) if names_parameter(self.loss_single, 'class_wise') else {}
            values = self.loss_single(enc_cls_scores, enc_bbox_preds, *truth, **asked)
            losses.update(zip(('enc_loss_cls', 'enc_loss_bbox', 'enc_loss_iou'), values))
        return losses

    def get_bboxes(
        self,
        all_cls_scores: Tensor,
        all_bbox_preds: Tensor,
        enc_cls_scores: Tensor | None,
        enc_bbox_preds: Tensor | None,
        img_metas: list[ImgMeta],
        rescale: bool = False,
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of each image, of the last layer; see :meth:`DETRHead.get_bboxes`."""
        return self._detections(all_cls_scores[-1], all_bbox_preds[-1], img_metas, rescale)
