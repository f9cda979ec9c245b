"""TridentNet (https://arxiv.org/abs/1901.01892)."""

from typing import Any

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.faster_rcnn import FasterRCNN


@DETECTORS.register_module()
class TridentFasterRCNN(FasterRCNN):
    """Faster R-CNN on the branches of a ``TridentResNet``, with a ``TridentRoIHead``.

    To the heads a batch of N images is one of B * N images, B branches in use, all images of a branch together.

    Raises:
        ValueError: backbone and RoI head do not agree about the branches.
    """

    def __init__(
        self,
        backbone: dict,
        rpn_head: dict,
        roi_head: dict,
        train_cfg: dict | None,
        test_cfg: dict | None,
        neck: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(backbone, rpn_head, roi_head, train_cfg, test_cfg, neck, pretrained, init_cfg)
        for name in ('num_branch', 'test_branch_idx'):
            in_backbone, in_head = getattr(self.backbone, name), getattr(self.roi_head, name)
            if in_backbone != in_head:
                raise ValueError(f'{name}: backbone and roi_head must agree, got {in_backbone} and {in_head}')
        self.num_branch = self.backbone.num_branch
        self.test_branch_idx = self.backbone.test_branch_idx

    @property
    def num_test_branches(self) -> int:
        """Branches that a test uses."""
        return self.num_branch if self.test_branch_idx == -1 else 1

    def simple_test(
        self, img: Tensor, img_metas: list[ImgMeta], proposals: list[Tensor] | None = None, rescale: bool = False
    ) -> list:
        """Detections of each image, by class; see :meth:`TwoStageDetector.simple_test`."""
        feats = self.extract_feat(img)
        trident_metas = list(img_metas) * self.num_test_branches
        if proposals is None:
            proposals = self.rpn_head.simple_test_rpn(feats, trident_metas)
        else:  # all branches share given proposals
            proposals = list(proposals) * self.num_test_branches
        return self.roi_head.simple_test(feats, proposals, trident_metas, rescale=rescale)

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, ...]:
        """As of :meth:`TwoStageDetector.onnx_export`, by the one branch that a test uses.

        Raises:
            NotImplementedError: a test uses several.
        """
        if self.num_test_branches > 1:
            raise NotImplementedError('several branches cannot be exported; set test_branch_idx to one of them')
        return super().onnx_export(img, img_metas)

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False) -> list:
        """Detections of one image, merged over its versions; see :meth:`TwoStageDetector.aug_test`."""
        feats = self.extract_feats(imgs)
        trident_metas = [list(metas) * self.num_test_branches for metas in img_metas]
        proposals = self.rpn_head.aug_test_rpn(feats, trident_metas)
        return self.roi_head.aug_test(feats, proposals, img_metas, rescale=rescale)

    def forward_train(
        self, img: Tensor, img_metas: list[ImgMeta], gt_bboxes: list[Tensor], gt_labels: list[Tensor], **kwargs: Any
    ) -> dict[str, Any]:
        """Losses of both stages over all branches; see :meth:`TwoStageDetector.forward_train`.

        What ``kwargs`` list for each image (ignored regions, proposals) is given to each branch.
        """
        per_image = {
            key: list(value) * self.num_branch if isinstance(value, (list, tuple)) else value
            for key, value in kwargs.items()
        }
        return super().forward_train(
            img,
            list(img_metas) * self.num_branch,
            list(gt_bboxes) * self.num_branch,
            list(gt_labels) * self.num_branch,
            **per_image,
        )
