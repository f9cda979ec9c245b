"""A student that learns from a trained teacher while it is trained."""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import torch
from mmcv import Config
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_detector
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.single_stage import SingleStageDetector
from mmdet.utils.checkpoints.checkpoint import load_checkpoint


@DETECTORS.register_module()
class KnowledgeDistillationSingleStageDetector(SingleStageDetector):
    """A single-stage detector whose head also gets what the teacher's head says to the same images.

    The teacher is no part of the model's parameters: it is not trained, not saved, and it follows the model to its
    device.

    Args:
        backbone: config of the student's backbone.
        neck: config of the student's neck; None: none.
        bbox_head: config of the student's head.
        teacher_config: config of the teacher, or the path of its file; its key ``model`` is read.
        teacher_ckpt: checkpoint of the teacher; None: it keeps its initial weights.
        eval_teacher: the teacher stays in evaluation mode, also while the student is trained.
        train_cfg: the head's ``train_cfg``.
        test_cfg: the head's ``test_cfg``.
        pretrained: deprecated; weights of the backbone.
    """

    teacher_model: Any  # a detector, or the parts of one

    def __init__(
        self,
        backbone: dict,
        neck: dict | None,
        bbox_head: dict,
        teacher_config: str | PathLike | Mapping,
        teacher_ckpt: str | None = None,
        eval_teacher: bool = True,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, train_cfg, test_cfg, pretrained)
        is_file = isinstance(teacher_config, (str, PathLike))
        config: Any = Config.fromfile(teacher_config) if is_file else teacher_config
        self._set_teacher(build_detector(config['model']), teacher_ckpt, eval_teacher)

    def _set_teacher(self, teacher: nn.Module, checkpoint: str | None, evaluate: bool) -> None:
        self.eval_teacher = evaluate
        self.teacher_model = teacher
        if checkpoint is not None:
            load_checkpoint(teacher, checkpoint, map_location='cpu')

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep the teacher out of the modules, so that it has no part in parameters and checkpoints."""
        if name == 'teacher_model':
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> nn.Module:
        """Move or convert the teacher with the model."""
        self.teacher_model._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode of the student, and that of the teacher unless it stays in evaluation mode."""
        self.teacher_model.train(mode and not self.eval_teacher)
        return super().train(mode)

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
        with torch.no_grad():
            out_teacher = self.teacher_model.bbox_head(self.teacher_model.extract_feat(img))
        feats = self.extract_feat(img)
        return self.bbox_head.forward_train(feats, out_teacher, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)
