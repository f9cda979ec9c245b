"""Label assignment distillation (https://arxiv.org/abs/2108.10520)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_backbone, build_head, build_neck
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.kd_one_stage import KnowledgeDistillationSingleStageDetector
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class LAD(KnowledgeDistillationSingleStageDetector):
    """A student that is trained with the targets that a trained PAA teacher assigns.

    Args:
        backbone: config of the student's backbone.
        neck: config of the student's neck; None: none.
        bbox_head: config of the student's head, an ``LADHead``.
        teacher_backbone: config of the teacher's backbone.
        teacher_neck: config of the teacher's neck; None: none.
        teacher_bbox_head: config of the teacher's head, an ``LADHead``.
        teacher_ckpt: checkpoint of the teacher; None: it keeps its initial weights.
        eval_teacher: the teacher stays in evaluation mode, also while the student is trained.
        train_cfg: of both heads.
        test_cfg: of both heads.
        pretrained: deprecated; weights of the student's backbone.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None,
        bbox_head: dict,
        teacher_backbone: dict,
        teacher_neck: dict | None,
        teacher_bbox_head: dict,
        teacher_ckpt: str | None,
        eval_teacher: bool = True,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
    ) -> None:
        SingleStageDetector.__init__(self, backbone, neck, bbox_head, train_cfg, test_cfg, pretrained)
        teacher = nn.Module()
        teacher.backbone = build_backbone(teacher_backbone)
        if teacher_neck is not None:
            teacher.neck = build_neck(teacher_neck)
        both = dict(train_cfg=self.train_cfg, test_cfg=self.test_cfg)
        teacher.bbox_head = build_head({**teacher_bbox_head, **both})
        self._set_teacher(teacher, teacher_ckpt, eval_teacher)

    @property
    def with_teacher_neck(self) -> bool:
        """Whether the teacher has a neck."""
        return getattr(self.teacher_model, 'neck', None) is not None

    def extract_teacher_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> the teacher's L feature maps (N, C, H, W)."""
        feats = self.teacher_model.backbone(img)
        return self.teacher_model.neck(feats) if self.with_teacher_neck else feats

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Any]:
        """Losses of a batch; see :meth:`SingleStageDetector.forward_train`."""
        BaseDetector.forward_train(self, img, img_metas)
        truth = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        head = self.teacher_model.bbox_head
        with torch.no_grad():
            assigned = head.get_label_assignment(*head(self.extract_teacher_feat(img)), *truth)
        feats = self.extract_feat(img)
        return self.bbox_head.forward_train(feats, assigned, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)
