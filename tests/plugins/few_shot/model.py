"""A backbone with a second first stage, heads that compare directions, a detector of which most is frozen."""

import torch
import torch.nn.functional as F
from mmcv.cnn import build_conv_layer
from torch import nn

from mmdet.core import bbox2roi
from mmdet.models import BACKBONES, DETECTORS, HEADS, ResNet, StandardRoIHead, TwoStageDetector
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import ConvFCBBoxHead
from mmdet.models.utils import build_linear_layer


@BACKBONES.register_module()
class ResNetWithMetaConv(ResNet):
    """Support images come with a fourth channel, the mask of their object, through a first layer of their own."""

    def _make_stem_layer(self, in_channels, stem_channels):
        super()._make_stem_layer(in_channels, stem_channels)
        self.meta_conv = build_conv_layer(
            self.conv_cfg, 4, stem_channels, kernel_size=7, stride=2, padding=3, bias=False
        )

    def forward(self, x, use_meta_conv=False):
        x = self.meta_conv(x) if use_meta_conv else self.conv1(x)
        x = self.maxpool(self.relu(self.norm1(x)))
        outs = []
        for i, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


@HEADS.register_module()
class CosineBBoxHead(ConvFCBBoxHead):
    """Scores are scaled cosines between features and a direction for each class."""

    def __init__(self, scale=20.0, **kwargs):
        super().__init__(num_shared_fcs=2, **kwargs)
        self.scale = scale
        if self.with_cls:
            self.fc_cls = build_linear_layer(
                dict(type='Linear'), in_features=self.cls_last_dim, out_features=self.num_classes + 1, bias=False
            )

    def init_weights(self):
        super().init_weights()
        nn.init.orthogonal_(self.fc_cls.weight)

    def forward(self, x):
        if self.num_shared_convs > 0:
            for conv in self.shared_convs:
                x = conv(x)
        if self.num_shared_fcs > 0:
            x = x.flatten(1)
            for fc in self.shared_fcs:
                x = self.relu(fc(x))
        cosine = F.linear(F.normalize(x, dim=1), F.normalize(self.fc_cls.weight, dim=1))
        return self.scale * cosine, self.fc_reg(x)


@HEADS.register_module()
class MetaRoIHead(StandardRoIHead):
    """RoI features are multiplied by those of the support images."""

    def forward_train(self, x, img_metas, proposal_list, gt_bboxes, gt_labels, support=None, **kwargs):
        self.support = support
        return super().forward_train(x, img_metas, proposal_list, gt_bboxes, gt_labels, **kwargs)

    def _bbox_forward_train(self, x, sampling_results, gt_bboxes, gt_labels, img_metas):
        rois = bbox2roi([res.bboxes for res in sampling_results])
        feats = self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois)
        cls_score, bbox_pred = self.bbox_head(feats * self.support.sigmoid()[None, :, None, None])
        targets = self.bbox_head.get_targets(sampling_results, gt_bboxes, gt_labels, self.train_cfg)
        loss_bbox = self.bbox_head.loss(cls_score, bbox_pred, rois, *targets)
        # features of the support images themselves are to be told apart from zero
        loss_bbox['loss_support'] = 0.01 * F.mse_loss(self.support, torch.ones_like(self.support))
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=feats, loss_bbox=loss_bbox)


@DETECTORS.register_module()
class FewShotRCNN(TwoStageDetector):
    def __init__(self, *args, frozen_parameters=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.frozen_parameters = frozen_parameters or []
        for name, parameter in self.named_parameters():
            if any(name.startswith(prefix) for prefix in self.frozen_parameters):
                parameter.requires_grad = False

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, **kwargs):
        masks = torch.stack([self.mask_of(image, boxes[:1]) for image, boxes in zip(img, gt_bboxes)])
        support = self.backbone(torch.cat([img, masks], 1), use_meta_conv=True)
        support = self.neck(support)[2].mean(dim=(0, 2, 3))
        x = self.extract_feat(img)
        losses, proposals = self.rpn_head.forward_train(
            x, img_metas, gt_bboxes, gt_labels=None, proposal_cfg=self.train_cfg.rpn_proposal
        )
        losses.update(
            self.roi_head.forward_train(x, img_metas, proposals, gt_bboxes, gt_labels, support=support, **kwargs)
        )
        return losses

    @staticmethod
    def mask_of(image, boxes):
        mask = image.new_zeros(1, *image.shape[1:])
        for x1, y1, x2, y2 in boxes.int().tolist():
            mask[:, y1:y2, x1:x2] = 1
        return mask
